"""Freeze the Parquet files of a click log in a manifest, and read them in parts."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import day_column, dictionaries, footer
from pipeline.data.columns import without_views
from pipeline.data.log_listing import NOT_PARQUET, Info, LeftAside, days_of, in_words, look, without_files
from pipeline.data.unknown_columns import UnknownColumn, unknown_in_words
from pipeline.data.unreadable import null_of_fixed_size, unreadable
from schemas import click_log
from schemas.click_log import OnUnknown
from schemas.errors import Refusal
from schemas.features import FeatureSpec

__all__ = ["LeftAside", "LogFile", "Manifest", "Part", "days_of", "find", "read_part"]

FOOTER_THREADS = 16
MAGIC = (b"PAR1", b"PARE")  # the second, of an encrypted file, to be refused as one that cannot be read
CHECKED = {"page_checksum_verification": True}  # of the pages that have one
OF_FIXED_SIZE = "Expected all lists to be of size"  # what pyarrow says of one that is null
MAX_NAMES = 5  # in a warning
Check = Callable[..., tuple[str, ...]]  # click_log.check, of a schema and where it is
logger = logging.getLogger(__name__)
_told = set[LeftAside | str]()


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
    unproven_column: str | None = None
    """As in `Manifest`."""
    num_rows: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a run, in the order of days, then of names."""

    files: tuple[LogFile, ...]
    left_aside: tuple[LeftAside, ...] = ()
    """What lies among them and is not read."""
    unproven_column: str | None = None
    """Named like the partition, and not proven by every footer to hold the path's day: whoever reads rows looks."""
    unknown_columns: tuple[UnknownColumn, ...] = ()

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
        """What was left aside beside the days stays with all of them."""
        wanted = {*days}
        files = tuple(file for file in self.files if file.day in wanted)
        left_aside = tuple(one for one in self.left_aside if one.day is None or one.day in wanted)
        unknown = tuple(one for one in self.unknown_columns if one.day in wanted)
        return Manifest(files, left_aside, self.unproven_column, unknown)

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
            rows = [num_rows for file in files for num_rows in file.row_group_rows]
            count = min(len(groups), math.ceil(sum(rows) / rows_per_part))
            parts += [
                Part(day, index, tuple(groups[index::count]), self.unproven_column, sum(rows[index::count]))
                for index in range(count)
            ]
        return parts


def find(
    logs_uri: str,
    days: Sequence[date],
    spec: FeatureSpec,
    *,
    labelled: bool = True,
    unknown_columns: OnUnknown = "refuse",
    known: Collection[str] = (),
) -> Manifest:
    """The manifest of these days, each file's footer read and its schema checked; Refusal for what is amiss.

    What is left aside is named in the manifest, and told in a warning; so are columns that neither the spec nor the
    caller has `known`, unless they are refused.
    """
    listing = look(logs_uri, spec)
    candidates: list[tuple[date, Info]] = []
    left_aside = list(listing.left_aside)
    for day in days:
        infos, others = listing.files_of(day)
        candidates += [(day, info) for info in infos]
        left_aside += others
    check = partial(click_log.check, spec=spec, labelled=labelled, unknown_columns=unknown_columns, known=known)
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        read = pool.map(lambda found: _read_file(listing.fs, found[0], found[1], spec.partition, check), candidates)
        manifest = _together([Manifest((), tuple(left_aside)), *read])
    for day in days:
        _check_day(manifest.of_days([day]), f"{logs_uri}/{spec.partition}={day}")
    _tell(manifest)
    return manifest


def _together(parts: Sequence[Manifest]) -> Manifest:
    return Manifest(
        files=tuple(file for part in parts for file in part.files),
        left_aside=tuple(sorted((other for part in parts for other in part.left_aside), key=lambda one: one.uri)),
        unproven_column=next((part.unproven_column for part in parts if part.unproven_column), None),
        unknown_columns=tuple(sorted({unknown for part in parts for unknown in part.unknown_columns})),
    )


def _tell(manifest: Manifest) -> None:
    """In a line each, once in a process: nights of a backfill look at the same days again and again."""
    left_aside = [one for one in manifest.left_aside if one not in _told]
    if left_aside:
        _told.update(left_aside)
        names = ", ".join(f"{one.uri} ({one.reason})" for one in left_aside[:MAX_NAMES])
        more = " ..." if len(left_aside) > MAX_NAMES else ""
        logger.warning("of the log, %s: %s%s", in_words(left_aside), names, more)
    unknown = [one for one in manifest.unknown_columns if one.name not in _told]
    if unknown:
        _told.update(one.name for one in unknown)
        logger.warning("of the log, %s", unknown_in_words(unknown))


def _check_day(manifest: Manifest, where: str) -> None:
    """Refuse a day of which nothing is left to read."""
    if not manifest.files:
        raise without_files(where, [one for one in manifest.left_aside if one.day])
    if manifest.num_rows == 0:
        raise Refusal(
            found="no rows",
            expected="at least one row a day",
            where=where,
            remedy="write the day again, or leave it out of the split's dates",
        )


def read_part(
    part: Part, columns: Sequence[str], as_dictionaries: Collection[str] = ()
) -> Iterator[tuple[pa.Table, str]]:
    """The part's rows, a row group at a time, each with the place to name in an error.

    Those of the columns that are to come `as_dictionaries` do, where the file holds their text so: their values are
    then told apart already, and none is copied for each row.

    Raises Refusal for a file that cannot be read, or whose own column says another day than its path.
    """
    unproven = part.unproven_column
    wanted = list(dict.fromkeys([*columns, *([unproven] if unproven else [])]))
    for uri, group in part.row_groups:
        where = f"{uri}, row group {group}"
        try:
            with fsspec.open(uri, "rb") as stream:
                file = pq.ParquetFile(stream, **CHECKED)
                if leaves := dictionaries.leaves(file, group, as_dictionaries):
                    file = pq.ParquetFile(stream, metadata=file.metadata, read_dictionary=leaves, **CHECKED)
                table = without_views(file.read_row_group(group, columns=wanted))
            if len(table) != (num_rows := file.metadata.row_group(group).num_rows):
                raise pa.ArrowInvalid(f"{len(table):,} rows where its footer says {num_rows:,}")
        except (pa.ArrowException, OSError) as error:
            if OF_FIXED_SIZE in str(error):
                raise null_of_fixed_size(where, file.schema_arrow, wanted) from error
            raise unreadable(where, error) from error
        if unproven and unproven in table.column_names:
            day_column.check(table.column(unproven), unproven, part.day, where)
            table = table if unproven in columns else table.drop_columns([unproven])
        yield table, where


def _read_file(fs: fsspec.AbstractFileSystem, day: date, info: Info, partition: str, check: Check) -> Manifest:
    """What one file adds to the manifest. Not Parquet is only what neither its name nor its first bytes call so.

    `check` refuses its schema, or tells of which columns nothing is known.
    """
    uri = fs.unstrip_protocol(info["name"])
    try:
        if not uri.endswith(".parquet") and fs.cat_file(info["name"], start=0, end=4) not in MAGIC:
            return Manifest((), (LeftAside(uri, NOT_PARQUET, day),))
        with fs.open(info["name"], "rb") as stream:
            file = pq.ParquetFile(stream)
            rows = tuple(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
            digest = footer.digest(stream)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(uri, error) from error
    unknown = tuple(UnknownColumn(day, name) for name in check(file.schema_arrow, where=uri))
    of_manifest = LogFile(uri, day, int(info["size"]), rows, digest)
    is_proven = day_column.is_proven(file, partition, day, uri)
    return Manifest((of_manifest,), unproven_column=None if is_proven else partition, unknown_columns=unknown)
