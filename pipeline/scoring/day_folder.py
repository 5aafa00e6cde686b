"""A day's folder of scores: its parts are written beside its place, and take that place when all are there.

out/date=2026-11-08/part-0000-<key>.parquet, ..., _SUCCESS   complete scores; `_SUCCESS`, the last, is DayScores as JSON
out/_tmp-2026-11-08-<key>/part-0000-<key>.parquet, ...       an attempt's

The key is of all that the parts depend on. It is in their names so that a reader who has listed a day, and opens its
files one by one while it is replaced, misses a file and never reads one of the other scores. The temporary folder's
name has no `=`: Spark would take it for a partition, and read it in spite of the underscore.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import fsspec

from pipeline.runtime import files, replacing, trusted
from pipeline.runtime.files import SUCCESS
from schemas.errors import Refusal
from schemas.scores import DayScores

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DayFolder:
    """The folder of one day, as one attempt means to fill it. One process at a time may."""

    out_uri: str
    day: date
    scores: DayScores
    key: str
    num_parts: int

    @property
    def uri(self) -> str:
        return f"{self.out_uri}/date={self.day}"

    @property
    def waiting_uri(self) -> str:
        """Where to write the parts."""
        return f"{self.out_uri}/{self._prefix}{self.key}"

    def part_name(self, index: int) -> str:
        return f"part-{index:04d}-{self.key}.parquet"

    @property
    def _part_names(self) -> list[str]:
        return [self.part_name(index) for index in range(self.num_parts)]

    @property
    def _prefix(self) -> str:
        """What the names of all attempts at this day begin with, whatever they depend on."""
        return f"_tmp-{self.day}-"

    def holds_scores(self, overwrite: bool) -> bool:
        """Whether these very scores are there, whole. Raises Refusal for what must not be touched."""
        success = _read_success(self.uri)
        found = success and success.model_copy(update={"sizes": {}})
        if success and found == self.scores:
            return self._is_whole(success)
        if found is not None and not overwrite:
            log = "" if found.manifest == self.scores.manifest else ", of a log that has changed since"
            raise Refusal(
                found=f"complete scores by {found.model_uri}{log}",
                expected=f"none, or those by {self.scores.model_uri} of the log as it is now",
                where=self.uri,
                remedy="give --overwrite to replace the day, or choose another --out",
            )
        # While complete scores are copied into the folder, they still wait beside it.
        is_ours = found or any(SUCCESS in _names(f"{self.out_uri}/{name}") for name in self._attempts())
        if not is_ours and _names(self.uri):
            raise Refusal(
                found="files that are no complete scores",
                expected="no such folder, or complete scores",
                where=self.uri,
                remedy="choose another --out, or remove the folder",
            )
        return False

    def _is_whole(self, success: DayScores) -> bool:
        sizes = _sizes(self.uri)
        amiss = [name for name, size in success.sizes.items() if sizes.get(name) != size]
        if amiss:
            logger.warning("%s/%s is damaged or gone: the day is scored again", self.uri, amiss[0])
        return not amiss

    def missing_parts(self) -> list[int]:
        """Indices of those that no earlier attempt of the same key has written."""
        written = _names(self.waiting_uri)
        return [index for index, name in enumerate(self._part_names) if name not in written]

    def publish(self, written: Mapping[str, int | None]) -> None:
        """Put the waiting parts, which must be all, into the place of what was there.

        Raises Failure where one is missing, or is not what a node says to have `written`.
        """
        trusted.require_written(self.waiting_uri, dict.fromkeys(self._part_names) | dict(written))
        sizes = {name: size for name, size in _sizes(self.waiting_uri).items() if name in self._part_names}
        success = self.scores.model_copy(update={"sizes": sizes})
        files.mark_complete(self.waiting_uri, success.model_dump_json(indent=1).encode())
        replacing.replace(self.waiting_uri, self.uri, f"{self.out_uri}/{self._prefix}old", self._part_names)
        self.clear()

    def clear(self) -> None:
        """Remove what attempts have left beside a complete day."""
        for name in self._attempts():
            files.remove(f"{self.out_uri}/{name}")

    def _attempts(self) -> list[str]:
        return [name for name in _names(self.out_uri) if name.startswith(self._prefix)]


def _read_success(folder_uri: str) -> DayScores | None:
    """None where there is none, or one that something else has written."""
    if SUCCESS not in _names(folder_uri):
        return None
    try:
        return DayScores.model_validate_json(files.read_bytes(f"{folder_uri}/{SUCCESS}"))
    except (ValueError, IsADirectoryError):
        return None


def _names(uri: str) -> set[str]:
    return {*_sizes(uri)}


def _sizes(uri: str) -> dict[str, int]:
    """The names of files and folders, as they are now, and their bytes; none where there is no such folder."""
    fs, path = fsspec.core.url_to_fs(uri)
    fs.invalidate_cache(path)  # of what other processes have written it knows nothing
    try:
        infos = fs.ls(path, detail=True)
    except FileNotFoundError:
        return {}
    return {str(info["name"]).rstrip("/").rsplit("/", 1)[-1]: int(info["size"] or 0) for info in infos}
