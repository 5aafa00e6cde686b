"""Days by a column of times: files in any folders, whose footers tell the days that each has rows of."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial

import fsspec
import pyarrow as pa

from pipeline.data import entries, footer, layouts, table_formats
from pipeline.data.entries import Info, name_of
from pipeline.data.footer import Footer
from pipeline.data.left_aside import NOT_PARQUET, WITHOUT_A_DAY, ZERO_BYTES, LeftAside
from pipeline.data.log_listing import FOOTER_THREADS, Check, LogListing
from pipeline.data.manifest import LogFile, Manifest
from pipeline.data.times import Times
from pipeline.data.unknown_columns import UnknownColumn
from schemas.errors import Refusal


@dataclass(frozen=True, slots=True)
class TimedFile:
    """One file, and the rows that each of its row groups has of each day."""

    uri: str
    size_bytes: int
    schema: pa.Schema
    footer_sha256: str
    rows_of: Mapping[date, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class FileListing(LogListing):
    """The log as a column of its rows divides it."""

    times: Times
    files: tuple[TimedFile, ...]
    """In the order of their names."""
    left_aside: tuple[LeftAside, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.times.column,)

    def read(self, days: Sequence[date], check: Check) -> Manifest:
        self.require(days)
        found: list[LogFile] = []
        unknown: list[UnknownColumn] = []
        for file in self.files:
            own = [day for day in days if day in file.rows_of]
            names = check(file.schema, where=file.uri) if own else ()
            unknown += [UnknownColumn(day, name) for day in own for name in names]
            found += [
                LogFile(file.uri, day, file.size_bytes, file.rows_of[day], file.footer_sha256, self.times)
                for day in own
            ]
        found.sort(key=lambda one: one.day)  # files of a day stay in the order of their names
        return Manifest(tuple(found), self.left_aside, unknown_columns=tuple(sorted(unknown)))

    def places_of(self, day: date) -> tuple[str, ...]:
        return (self.uri,)

    def is_marked(self, day: date) -> bool:
        return False


def list_files(fs: fsspec.AbstractFileSystem, root: str, uri: str, times: Times) -> FileListing:
    """Raises Refusal where there is no row with a time, for half a file, and for one whose column tells no day."""
    table_formats.refuse(fs, entries.listed(fs, root), uri)
    infos, left_aside = _files(fs, root, uri)
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        footers = [*pool.map(partial(footer.read, fs), infos)]
        of_footers = zip(infos, pool.map(lambda one: one and _timed(one, times), footers), strict=True)
        read = [(fs.unstrip_protocol(info["name"]), found) for info, found in of_footers]
    left_aside += [LeftAside(one, NOT_PARQUET) for one, found in read if found is None]
    timed = [found for _, found in read if found]
    left_aside += [LeftAside(one.file.uri, WITHOUT_A_DAY) for one in timed if one.has_rows_without_a_day]
    files = tuple(one.file for one in timed)
    days = sorted({day for file in files for day in file.rows_of})
    if not days:
        raise _without_days(times, infos, uri)
    return FileListing(fs, uri, tuple(days), times, files, tuple(left_aside))


@dataclass(frozen=True, slots=True)
class _Timed:
    file: TimedFile
    has_rows_without_a_day: bool


def _timed(found: Footer, times: Times) -> _Timed:
    """Row groups whose statistics tell one day are not read; of the others the column alone is."""
    groups = []
    for group in range(found.metadata.num_row_groups):
        where = f"{found.uri}, row group {group}"
        rows = times.by_statistics(found, group, where)
        groups.append(_counted(times, found.uri, group, found.sha256) if rows is None else rows)
    days = sorted({day for group in groups for day in group})
    rows_of = {day: tuple(group.get(day, 0) for group in groups) for day in days}
    file = TimedFile(found.uri, found.size_bytes, found.schema_arrow, found.sha256, rows_of)
    num_with_a_day = sum(sum(group.values()) for group in groups)
    return _Timed(file, num_with_a_day < found.metadata.num_rows)


@lru_cache(maxsize=2**17)
def _counted(times: Times, uri: str, group: int, footer_sha256: str) -> dict[date, int]:
    """Once a process: nights of a backfill look at the same files again and again."""
    return times.by_rows(uri, group)


def _files(fs: fsspec.AbstractFileSystem, root: str, uri: str) -> tuple[list[Info], list[LeftAside]]:
    """Files that may hold rows, in the order of their names, and others."""
    infos: list[Info] = []
    left_aside: list[LeftAside] = []
    for path, info in sorted(fs.find(root, detail=True).items()):
        words = path.removeprefix(root).strip("/").split("/")
        table_formats.refuse_path(words, uri)
        if any(map(entries.is_note, words)):
            continue
        one = entries.followed(fs, info)
        if one["type"] == "file" and one["size"]:
            infos.append(one)
        else:
            reason = ZERO_BYTES if one["type"] == "file" else "neither file nor folder"
            left_aside.append(LeftAside(fs.unstrip_protocol(path), reason))
    return infos, left_aside


def _without_days(times: Times, infos: Sequence[Info], uri: str) -> Refusal:
    names = sorted(map(name_of, infos))
    return Refusal(
        found=f"no row with a time: {layouts.kinds_in_words(names) or 'no file that holds rows'}",
        expected=f"Parquet files, in any folders, with a column {times.column!r}",
        where=uri,
        remedy=layouts.remedy_of_files(names) or "set data.logs_uri to the folder that holds them",
    )
