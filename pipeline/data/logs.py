"""Find the Parquet files of a click log, freeze them in a manifest, read them in parts."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.runtime import files
from schemas import click_log
from schemas.errors import Refusal
from schemas.features import FeatureSpec

FOOTER_THREADS = 16
FOOTER_TAIL_BYTES = 8  # the footer's length and the magic bytes "PAR1"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One Parquet file of one day; the footer's digest stands for its schema, sizes and statistics."""

    uri: str
    day: date
    size_bytes: int
    row_group_rows: tuple[int, ...]
    footer_sha256: str

    @property
    def num_rows(self) -> int:
        return sum(self.row_group_rows)


@dataclass(frozen=True, slots=True)
class Part:
    """What one task reads: some row groups of one day's files."""

    day: date
    index: int
    row_groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a run, in the order of days, then of names."""

    files: tuple[LogFile, ...]

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(sorted({file.day for file in self.files}))

    @property
    def num_rows(self) -> int:
        return sum(file.num_rows for file in self.files)

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed or rewritten; 16 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def of_days(self, days: Sequence[date]) -> "Manifest":
        wanted = set(days)
        return Manifest(tuple(file for file in self.files if file.day in wanted))

    def to_json(self) -> str:
        return json.dumps([asdict(file) for file in self.files], default=str, indent=1)

    def parts(self, rows_per_part: int) -> list[Part]:
        """Divide each day into parts of about `rows_per_part` rows.

        A day's part j of m holds its row groups j, j + m, j + 2m, ...: each part is a sample of the whole day, so that
        shuffling parts by themselves shuffles the day, without moving rows between machines.
        """
        parts = []
        for day in self.days:
            files = [file for file in self.files if file.day == day]
            groups = [(file.uri, group) for file in files for group in range(len(file.row_group_rows))]
            count = min(len(groups), math.ceil(sum(file.num_rows for file in files) / rows_per_part))
            parts += [Part(day, index, tuple(groups[index::count])) for index in range(count)]
        return parts


def days_of(logs_uri: str, spec: FeatureSpec) -> list[date]:
    """Days with a `<partition>=YYYY-MM-DD` folder, oldest first."""
    prefix = f"{spec.partition}="
    refused: tuple[type[Exception], ...] = (ValueError, ImportError, *files.errors())
    try:
        fs, root = fsspec.core.url_to_fs(logs_uri)
        names = [os.path.basename(path.rstrip("/")) for path in fs.ls(root, detail=False)]  # noqa: PTH119 (a URI's)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except refused as error:
        raise Refusal(
            found=f"{type(error).__name__}: {error}",
            expected="a folder that can be listed",
            where=logs_uri,
            remedy="check the URI and the credentials of its file system",
        ) from error
    days = [_parse_day(name.removeprefix(prefix), logs_uri) for name in names if name.startswith(prefix)]
    if not days:
        raise Refusal(
            found=f"no {prefix}YYYY-MM-DD folder",
            expected=f"one folder a day, for example {prefix}2026-11-19/",
            where=logs_uri,
            remedy="set data.logs_uri to the folder that holds the days, or write a log with `nightjar generate`",
        )
    return sorted(days)


def find(logs_uri: str, days: Sequence[date], spec: FeatureSpec, *, labelled: bool = True) -> Manifest:
    """The manifest of these days, each file's footer read and its schema checked; Refusal for what is amiss."""
    fs, root = fsspec.core.url_to_fs(logs_uri)
    paths: list[tuple[date, dict[str, Any]]] = []
    for day in days:
        folder = f"{root}/{spec.partition}={day}"
        infos = sorted(fs.ls(folder, detail=True), key=lambda info: str(info["name"])) if fs.exists(folder) else None
        paths += [(day, info) for info in _data_files(infos, f"{logs_uri}/{spec.partition}={day}")]
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        files = list(pool.map(lambda found: _read_footer(fs, found[0], found[1], spec, labelled), paths))
    manifest = Manifest(tuple(files))
    for day in days:
        if manifest.of_days([day]).num_rows == 0:
            raise Refusal(
                found="no rows",
                expected="at least one row a day",
                where=f"{logs_uri}/{spec.partition}={day}",
                remedy="write the day again, or leave it out of the split's dates",
            )
    return manifest


def read_part(part: Part, columns: Sequence[str]) -> Iterator[tuple[pa.Table, str]]:
    """The part's rows, a row group at a time, each with the place to name in an error."""
    for uri, group in part.row_groups:
        where = f"{uri}, row group {group}"
        try:
            with fsspec.open(uri, "rb") as stream:
                yield pq.ParquetFile(stream).read_row_group(group, columns=list(columns)), where
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(where, error) from error


def _parse_day(text: str, logs_uri: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal(
            found=f"a partition named {text!r}",
            expected="a day, YYYY-MM-DD",
            where=logs_uri,
            remedy="rename the folder, or move it out of the log",
        ) from error


def _data_files(infos: Sequence[dict[str, Any]] | None, where: str) -> list[dict[str, Any]]:
    """Files that hold rows: those whose names start with `_` or `.` are other tools' notes."""
    if infos is None:
        raise Refusal(
            found="no such day",
            expected="a folder of Parquet files",
            where=where,
            remedy="choose a day that the log has, or wait until it is written",
        )
    data = [info for info in infos if info["type"] == "file" and _basename(info)[0] not in "_."]
    if not data:
        raise Refusal(
            found="a day without files",
            expected="at least one Parquet file",
            where=where,
            remedy="write the day again, or leave it out of the split's dates",
        )
    return data


def _basename(info: dict[str, Any]) -> str:
    return str(info["name"]).rsplit("/", 1)[-1]


def _read_footer(
    fs: fsspec.AbstractFileSystem, day: date, info: dict[str, Any], spec: FeatureSpec, labelled: bool
) -> LogFile:
    uri = fs.unstrip_protocol(info["name"])
    try:
        with fs.open(info["name"], "rb") as stream:
            footer = pq.ParquetFile(stream)
            rows = tuple(footer.metadata.row_group(i).num_rows for i in range(footer.metadata.num_row_groups))
            stream.seek(int(info["size"]) - FOOTER_TAIL_BYTES - footer.metadata.serialized_size)
            digest = hashlib.sha256(stream.read()).hexdigest()[:16]
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(uri, error) from error
    click_log.check(footer.schema_arrow, spec, uri, labelled=labelled)
    return LogFile(uri, day, int(info["size"]), rows, digest)


def _unreadable(where: str, error: Exception) -> Refusal:
    if isinstance(error, OSError) and error.errno:  # the system's word, and not the Parquet reader's
        return Refusal(
            found=f"a file that cannot be read: {' '.join(str(error).split())[:200]}",
            expected="a file of the log, with permission to read it",
            where=where,
            remedy="check the file's permissions and its disk; the same command goes on from here",
        )
    return Refusal(
        found=f"a file that is not whole Parquet: {' '.join(str(error).split())[:200]}",
        expected="a Parquet file, written to its end",
        where=where,
        remedy="write the file again; have its writer use a temporary name and move it when complete",
    )
