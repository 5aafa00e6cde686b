"""Every file that a finished run has left behind, damaged in every way: what does the same command come to?

All of them against all damages take minutes: set NIGHTJAR_DAMAGE to `all` for that, or to a part of the paths that are
meant. Else one file of each owner meets one damage.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import damage
import pytest
from click_logs import SPEC
from command import Done
from night_folder import STAGE, NightFolder, day

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
# What runs leave in a work folder, but for MLflow's own and the leases.
LEFT = ("encoded", "nights", "profiles", "runs")
MEANT = os.environ.get("NIGHTJAR_DAMAGE", "")
STAGES = [
    STAGE,
    {"name": "deepfm", "model": "deepfm", "init_from": "fm", "batch_size": 50, "mlp": {"hidden": [4]}, "members": 2},
]
# What is tried each time: a pattern of the file, and its damage.
RETRAINS = {
    "runs/*/summary.json": "cut",
    "runs/*/stages/fm/table-*.safetensors": "flipped",
    "runs/*/stages/deepfm/calibration.json": "removed",
    "encoded/*/test/*/*.parquet": "flipped",
}
NIGHTS = {
    "nights/*/date=2026-11-05/*.json": "other-types",
    "profiles/date=2026-11-05/*.json": "a-list",
    "encoded/days/date=2026-11-04/*/*.json": "another-version",
    "profiles/date=2026-11-05/*.parquet": "a-folder",
}
OF_TIME = ("seconds", "rows_per_second")


@dataclass(frozen=True)
class Finished:
    """A folder in which a command has come to its end, and what its work folder was then."""

    folder: NightFolder
    command: tuple[str, ...]
    last_file: str
    """A pattern of what the command has written last: without it, it looks at all others again."""
    came_to: object

    @property
    def work(self) -> Path:
        return self.folder.path / "work"

    @property
    def kept(self) -> Path:
        return self.folder.path / "kept"

    def left_behind(self) -> list[Path]:
        return [path for path in damage.files_below(self.kept) if path.parts[0] in LEFT]

    def run(self) -> Done:
        return self.folder.run(*self.command)

    def put_back(self) -> None:
        for name in LEFT:
            if (self.kept / name).exists():
                damage.put_back(self.kept / name, self.work / name)


def comes_to(folder: NightFolder, done: Done) -> object:
    """What the command says at its end, without how long it took, and who serves now."""
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for results in [*found.get("stages", {}).values()]:
        for name in OF_TIME:
            results.pop(name)
    for name in ("seconds", "phases", "rates", "candidate_uri", "ended"):
        found.pop(name, None)
    return found, folder.aliases()


def finish(folder: NightFolder, command: tuple[str, ...], last_file: str) -> Finished:
    came_to = comes_to(folder, folder.run(*command))
    shutil.copytree(folder.path / "work", folder.path / "kept", ignore=shutil.ignore_patterns("mlflow.db*"))
    return Finished(folder, command, last_file, came_to)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Finished:
    path = tmp_path_factory.mktemp("damaged")
    data = {"logs_uri": str(path / "logs"), "features": SPEC, "validation_share": 0.2}
    all_stays = {"runs": None}
    folder = NightFolder.write(path, 3, stages=STAGES, data=data, calibration="platt", retention=all_stays)
    return finish(folder, ("train", "--json"), "runs/*/summary.json")


@pytest.fixture
def fourth_night(three, tmp_path: Path) -> Finished:
    folder = three.folder.copy(tmp_path / "nights")
    return finish(folder, ("nightly", "--json", "--date", str(day(5))), f"nights/*/date={day(5)}/*.json")


def walk(finished: Finished, tried: Mapping[str, str]) -> list[str]:
    """What is amiss of each damage that ends neither in the right answer nor in words."""
    amiss = []
    for path in finished.left_behind():
        kinds = damage.kinds_of(finished.kept / path) if MEANT == "all" or (MEANT and MEANT in str(path)) else []
        if not MEANT:
            kinds = [kind for pattern, kind in tried.items() if path == first(finished.kept, pattern)]
        for kind in kinds:
            found = after(finished, path, kind)
            if found:
                amiss.append(f"{path}, {kind}: {found}")
    return amiss


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern)).relative_to(folder)


def after(finished: Finished, path: Path, kind: str) -> str:
    if not path.match(finished.last_file):
        for last in finished.work.glob(finished.last_file):
            last.unlink()
    damage.KINDS[kind](finished.work / path)
    try:
        for _ in range(2):  # what a first call has to drop, the second one makes again
            done = finished.run()
            if "Traceback" in done.stderr or done.exit_code not in (0, 1, 2):
                return f"exit {done.exit_code}, {done.stderr}"
            if finished.folder.aliases() != finished.came_to[1]:
                return f"the aliases are {finished.folder.aliases()}"
            if done.exit_code == 0:
                break
        else:
            return f"no end: {done.stderr[-2000:]}"
        found = comes_to(finished.folder, done)
        return "" if found == finished.came_to else _differences(found, finished.came_to)
    finally:
        finished.put_back()


def _differences(found: Any, expected: Any) -> str:
    (here, aliases), (there, aliases_before) = found, expected
    keys = [key for key in there if here.get(key) != there[key]]
    told = [f"{key}: {here.get(key)} instead of {there[key]}" for key in keys]
    return "; ".join(told) or f"{aliases} instead of {aliases_before}"


def test_a_damaged_file_of_a_retrain_is_made_again_or_told_of_in_words(trained):
    amiss = walk(trained, RETRAINS)
    assert not amiss, "\n\n".join(amiss)


def test_a_damaged_file_of_a_night_is_made_again_or_told_of_in_words(fourth_night):
    amiss = walk(fourth_night, NIGHTS)
    assert not amiss, "\n\n".join(amiss)
