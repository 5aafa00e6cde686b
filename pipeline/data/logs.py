"""Freeze the Parquet files of a click log in a manifest, and read them in parts."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import day_column, dictionaries, lenient_check, table_formats
from pipeline.data.columns import without_views
from pipeline.data.day_folders import list_folders
from pipeline.data.late_columns import late_in_words
from pipeline.data.left_aside import LeftAside, in_words
from pipeline.data.lenient_check import LenientCheck
from pipeline.data.log_listing import LogListing, without_files
from pipeline.data.manifest import LogFile, Manifest, Part
from pipeline.data.missing_hours import missing_in_words
from pipeline.data.timed_files import list_files
from pipeline.data.times import Times
from pipeline.data.unknown_columns import unknown_in_words
from pipeline.data.unreadable import null_of_fixed_size, unreadable
from pipeline.runtime import files
from schemas import click_log
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.partitioning import TimeColumn

__all__ = ["LeftAside", "LogFile", "Manifest", "Part", "days_of", "find", "look", "read_part"]

CHECKED = {"page_checksum_verification": True}  # of the pages that have one
OF_FIXED_SIZE = "Expected all lists to be of size"  # what pyarrow says of one that is null
MAX_NAMES = 5  # in a warning
logger = logging.getLogger(__name__)
_told = set[object]()


def look(data: DataConfig) -> LogListing:
    """List the log anew, whatever this process has seen of it before. Raises Refusal where it has no day."""
    uri, partitioning = data.logs_uri, data.partitioning
    refused: tuple[type[Exception], ...] = (ValueError, ImportError, *files.errors())
    try:
        fs, root = fsspec.core.url_to_fs(uri)
        fs.invalidate_cache()  # object stores keep listings, with sizes, as long as the process lives
        table_formats.refuse_data_of(fs, root, uri)
        if isinstance(partitioning, TimeColumn):
            return list_files(fs, root, uri, Times(partitioning.column, data.timezone))
        return list_folders(fs, root, uri, data.folder_path, data.timezone)
    except Refusal:  # a ValueError, too
        raise
    except refused as error:
        raise Refusal(
            found=f"{type(error).__name__}: {error}",
            expected="a folder that can be listed",
            where=uri,
            remedy="check the URI and the credentials of its file system",
        ) from error


def days_of(data: DataConfig) -> list[date]:
    """The days of the log, oldest first."""
    return list(look(data).days)


def find(
    data: DataConfig,
    days: Sequence[date],
    spec: FeatureSpec | None = None,
    *,
    labelled: bool = True,
    known: Collection[str] = (),
) -> Manifest:
    """The manifest of these days, each file's footer read and its schema checked; Refusal for what is amiss.

    The columns are those of a `spec` that is not the log's own, as a model's. What is left aside is named in the
    manifest, and told in a warning; so are columns that neither the spec nor the caller has `known`, unless they are
    refused, hours that are missing, and columns of fields that older files lack (`lenient_check`).
    """
    listing = look(data)
    spec, known = spec or data.features, {*known, *listing.columns}
    strict = partial(click_log.check, spec=spec, labelled=labelled, unknown_columns=data.unknown_columns, known=known)
    check = LenientCheck(
        strict,
        optional=lenient_check.optional_columns(data, spec),
        known={*known, *spec.columns, *spec.ignored, spec.partition},
    )
    manifest = listing.read(days, check)
    manifest = replace(manifest, late_columns=lenient_check.find(manifest, listing, check))
    for day in days:
        _check_day(manifest.of_days([day]), listing.where(day))
    _tell(manifest, data.logs_uri)
    return manifest


def _tell(manifest: Manifest, logs_uri: str) -> None:
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
    late = [one for one in manifest.late_columns if (logs_uri, one) not in _told]
    if late:
        _told.update((logs_uri, one) for one in late)
        logger.warning("of the log, %s", late_in_words(late))
    missing = [one for one in manifest.missing_hours if (logs_uri, one) not in _told]
    if missing:
        _told.update((logs_uri, one) for one in missing)
        logger.warning("of the log, %s", missing_in_words(missing))


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
    part: Part, columns: Sequence[str], as_dictionaries: Collection[str] = (), *, absent_are_null: bool = True
) -> Iterator[tuple[pa.Table, str]]:
    """The part's rows, a row group at a time, each with the place to name in an error.

    Those of the columns that are to come `as_dictionaries` do, where the file holds their text so: their values are
    then told apart already, and none is copied for each row. Where a file lacks a column all of its rows have null, or
    the column is left away.

    Raises Refusal for a file that cannot be read, or whose own column says another day than its path.
    """
    unproven, times = part.unproven_column, part.times
    looked_at = [name for name in (unproven, times.column if times else None) if name]
    wanted = list(dict.fromkeys([*columns, *looked_at]))
    footers: dict[str, pq.FileMetaData] = {}  # of the file at work: of many row groups one takes as long as they do
    for uri, group in part.row_groups:
        where = f"{uri}, row group {group}"
        table, file = _read_row_group(uri, group, wanted, as_dictionaries, footers.get(uri))
        footers = {uri: file.metadata}
        if unproven and unproven in table.column_names:
            day_column.check(table.column(unproven), unproven, part.day, where)
        if times:
            table = times.rows_of(part.day, table, file, where)
        for name in columns if absent_are_null else ():
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table)))
        yield (
            table.drop_columns([name for name in looked_at if name in table.column_names and name not in columns]),
            where,
        )


def _read_row_group(
    uri: str, group: int, columns: Sequence[str], as_dictionaries: Collection[str], footer: pq.FileMetaData | None
) -> tuple[pa.Table, pq.ParquetFile]:
    """With the file as it was opened; its footer is read where it is not known."""
    where = f"{uri}, row group {group}"
    try:
        with fsspec.open(uri, "rb") as stream:
            file = pq.ParquetFile(stream, metadata=footer, **CHECKED)
            if leaves := dictionaries.leaves(file, group, as_dictionaries):
                file = pq.ParquetFile(stream, metadata=file.metadata, read_dictionary=leaves, **CHECKED)
            table = without_views(file.read_row_group(group, columns=columns))
        if len(table) != (num_rows := file.metadata.row_group(group).num_rows):
            raise pa.ArrowInvalid(f"{len(table):,} rows where its footer says {num_rows:,}")
    except (pa.ArrowException, OSError) as error:
        if OF_FIXED_SIZE in str(error):
            raise null_of_fixed_size(where, file.schema_arrow, columns) from error
        raise unreadable(where, error) from error
    return table, file
