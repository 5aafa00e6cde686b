"""What a retrain leaves in its run's folder: results, which stay; tables and checkpoints, of use only until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.runtime import files
from pipeline.runtime.files import Listed
from pipeline.training import checkpoint
from schemas.stage import ORIGIN

SUMMARY = "summary.json"  # of a `train` that has finished


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What lies in a run's folder. `spare` are the files that its end makes needless."""

    run_uri: str
    files: tuple[Listed, ...]

    @property
    def name(self) -> str:
        """Of the run: its identity."""
        return self.run_uri.rpartition("/")[2]

    @property
    def spare(self) -> tuple[Listed, ...]:
        return tuple(file for file in self.files if not _is_result(file.name))

    @property
    def spare_bytes(self) -> int:
        return sum(file.num_bytes for file in self.spare)

    @property
    def modified(self) -> float:
        return max((file.modified for file in self.files), default=0.0)

    @property
    def has_summary(self) -> bool:
        return any(file.name == SUMMARY for file in self.files)


def of_run(run_uri: str) -> Leftovers:
    return Leftovers(run_uri, tuple(files.listed(run_uri)))


def drop(run_uri: str) -> int:
    """Remove what a finished run needs no more; how many bytes that were."""
    spare = of_run(run_uri).spare
    for file in in_order(spare):
        files.remove(f"{run_uri}/{file.name}")
    _remove_empty(run_uri)
    return sum(file.num_bytes for file in spare)


def in_order(spare: Sequence[Listed]) -> list[Listed]:
    """So that, cut short, no stage is taken for published, nor does Ray Train find its records, which lie on top."""
    return sorted(spare, key=lambda file: not (file.name.endswith(files.SUCCESS) or "/" not in file.name))


def _remove_empty(run_uri: str) -> None:
    """Folders that nothing is left in, where the file system has any."""
    kept = {file.name for file in files.listed(run_uri)}
    for place in ("", "stages/"):
        if files.exists(f"{run_uri}/{place}"):
            for name in files.folders(f"{run_uri}/{place}"):
                if not any(file.startswith(f"{place}{name}/") for file in kept):
                    files.remove(f"{run_uri}/{place}{name}")


def _is_result(name: str) -> bool:
    """A stage's progress holds its figures and its curve; that of what it started from holds nothing."""
    folder, _, file = name.rpartition("/")
    place, _, stage = folder.rpartition("/")
    is_stage = place == "stages" and not stage.startswith(ORIGIN)
    return name == SUMMARY or (is_stage and file == checkpoint.PROGRESS)
