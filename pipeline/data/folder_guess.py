"""Which partitioning would read what lies in a folder: by the names of its folders, or by a file's column of times."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from pipeline.data import entries
from pipeline.data.entries import name_of
from pipeline.runtime import files
from schemas.folder_path import FolderPath, Level, day_of
from schemas.partitioning import BY_DAY, DEFAULT, DayFolders, PathFolders, TimeColumn

SPELLINGS = (
    *("YYYY-MM-DD", "YYYYMMDD", "YYYY_MM_DD", "YYYY-MM-DD-HH", "YYYY-MM-DDTHH", "YYYY-MM-DD_HH", "YYYYMMDDHH"),
    *("YYYYMMDD-HH", "YYYYMMDDTHH", "YYYYMMDD_HH", "YYYY-MM", "YYYYMM", "YYYY"),
)
NEXT = {frozenset({"YYYY"}): "MM", frozenset({"YYYY", "MM"}): "DD", frozenset({"YYYY", "MM", "DD"}): "HH"}
KEYS = {"MM": ("month", "mm", "m", ""), "DD": ("day", "dd", "d", ""), "HH": ("hour", "hr", "hh", "h", "")}
YEARS = range(1990, 2100)  # of what is taken for a time
TIMES = ("timestamp", "ts", "time", "event_time", "datetime", "date", "day", "dt", "created_at")  # the likeliest first
SUFFIXES = (".parquet", ".parq", ".pq")
MOST_FILES = 200  # that are listed in search of a Parquet file


def found(fs: fsspec.AbstractFileSystem, root: str) -> DayFolders | PathFolders | TimeColumn | None:
    """The partitioning that would read the log at `root`; None where none would, as of CSV, or of no folder.

    Folders are told by their names, of which one a level is looked at. Else the first Parquet file's first column of
    times or dates is taken, by its name the likeliest to be the row's own.
    """
    by_folders = _by_folders(fs, root)
    if by_folders:
        return BY_DAY if by_folders == DEFAULT else PathFolders(by="path", path=by_folders)
    columns = time_columns(fs, root)
    return TimeColumn(by="column", column=columns[0]) if columns else None


def time_columns(fs: fsspec.AbstractFileSystem, root: str) -> list[str]:
    """Columns of the first Parquet file below that can tell a row's day, the likeliest first."""
    with suppress(pa.ArrowException, *files.errors()):
        for path in _files(fs, root):
            with fs.open(path, "rb") as stream:
                schema = pq.read_schema(stream)
            names = [field.name for field in schema if pt.is_timestamp(field.type) or pt.is_date(field.type)]
            return sorted(names, key=likelihood)
    return []


def likelihood(name: str) -> int:
    """The lower, the likelier a column of this name tells when a row was."""
    return TIMES.index(name.lower()) if name.lower() in TIMES else len(TIMES)


def _by_folders(fs: fsspec.AbstractFileSystem, root: str) -> str | None:
    """The path of folders that tell the day; None where they do not, or others lie below them."""
    levels: list[Level] = []
    told: dict[str, int] = {}
    path = root
    while below := _folders(fs, path):
        spelled = [(name, level) for name in below if (level := level_of(name, told))]
        if not spelled:
            return None
        (name, level), *_ = spelled
        levels, told, path = [*levels, level], told | (level.read(name) or {}), f"{path}/{name}"
    with suppress(ValueError):
        return str(FolderPath.of("/".join(map(str, levels))))
    return None


def level_of(name: str, told: Mapping[str, int]) -> Level | None:
    """How the name of a folder spells what comes after what those above it have `told`; None where it does not."""
    following = NEXT.get(frozenset(told))
    key, has_key, _ = name.rpartition("=")
    for spelling in [following] if following else SPELLINGS if not told else []:
        level = Level(key + has_key, spelling)
        said = level.read(name)
        if said and key.lower() in KEYS.get(spelling, (key.lower(),)) and _is_time({**told, **said}):
            return level
    return None


def _is_time(parts: Mapping[str, int]) -> bool:
    parts = {"MM": 1, "DD": 1, "HH": 0, **parts}
    return parts["YYYY"] in YEARS and parts["HH"] < 24 and day_of(parts) is not None


def _folders(fs: fsspec.AbstractFileSystem, path: str) -> list[str]:
    with suppress(*files.errors()):
        infos = entries.without_notes(entries.listed(fs, path))
        return [name_of(info) for info in infos if info["type"] == "directory"]
    return []


def _files(fs: fsspec.AbstractFileSystem, root: str) -> Iterator[str]:
    """Parquet files below, by their names, those that lie deepest last."""
    waiting, listed = [root], 0
    while waiting and listed < MOST_FILES:
        infos = entries.without_notes(entries.listed(fs, waiting.pop(0)))
        listed += len(infos)
        yield from (info["name"] for info in infos if info["type"] == "file" and info["name"].endswith(SUFFIXES))
        waiting += [info["name"] for info in infos if info["type"] == "directory"]
