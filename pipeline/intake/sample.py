"""Some rows of a log that nobody has described yet: from files all over it, a bounded number, as one table."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.columns import decoded, without_views
from pipeline.data.unreadable import unreadable
from pipeline.intake import csv_sample
from pipeline.intake.log_files import LogFiles, spread
from schemas.errors import Refusal, on_one_line

MOST_ROWS = 200_000
LEAST_ROWS_OF_FILE = 500  # so that the files of many days still show which values come again
GROUPS_OF_FILE = 4  # that rows are taken from at least: what lies at a file's start may be one hour, or one user
READERS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows, and how much of the log they stand for."""

    rows: pa.Table
    num_files: int
    """That the rows are of."""
    total_rows: int
    """Of the whole log, about: by the footers of these files, or the bytes of CSV."""

    @property
    def in_words(self) -> str:
        of_all = f" of about {self.total_rows:,}" if self.total_rows > len(self.rows) else ""
        return f"{len(self.rows):,} rows{of_all}, from {self.num_files} file{'s' * (self.num_files != 1)}"


def take(log: LogFiles) -> Sample:
    """At most MOST_ROWS rows or so, of each file alike many; Refusal where there is none to look at."""
    most = max(LEAST_ROWS_OF_FILE, MOST_ROWS // len(log.files))
    read_file = csv_sample.read if log.kind == "csv" else _of_parquet
    with ThreadPoolExecutor(READERS) as pool:
        read = list(pool.map(lambda name: read_file(log.fs, name, most), log.files))
    rows = _together(log, [table for table, _ in read])
    if not len(rows):
        raise Refusal(
            found=f"no rows in {len(read)} file{'s' * (len(read) != 1)}",
            expected="some rows to look at",
            where=log.uri,
            remedy="name the folder or the file that holds the log's rows",
        )
    return Sample(rows, len(read), round(sum(number for _, number in read) * log.share_of_files))


def _of_parquet(fs: fsspec.AbstractFileSystem, name: str, most: int) -> tuple[pa.Table, int]:
    """(rows of some of the file's row groups, how many the file has)."""
    uri = fs.unstrip_protocol(name)
    try:
        with fs.open(name, "rb") as stream:
            file = pq.ParquetFile(stream)
            _require_columns(file.schema_arrow, uri)
            rows_of_group = max(1, file.metadata.num_rows // max(1, file.num_row_groups))
            groups = spread(range(file.num_row_groups), max(GROUPS_OF_FILE, -(-most // rows_of_group)))
            tables = [file.schema_arrow.empty_table()]
            for group in groups:
                batches = file.iter_batches(max(1, -(-most // len(groups))), row_groups=[group])
                tables += [pa.Table.from_batches([batch]) for batch in [next(batches, None)] if batch]
            return _plain(pa.concat_tables(tables)), file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(uri, error) from error


def _plain(rows: pa.Table) -> pa.Table:
    """Text as text, whichever way a file holds it: others may hold it in another."""
    rows = without_views(rows)
    return pa.table([decoded(column) for column in rows.columns], rows.column_names)


def _require_columns(schema: pa.Schema, uri: str) -> None:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice or not schema.names:
        raise Refusal(
            found=f"more than one column named {twice[0]!r}" if twice else "a file without columns",
            expected="columns, each of a name of its own",
            where=uri,
            remedy="write the file again, with a name for each column",
        )


def _together(log: LogFiles, tables: Sequence[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except (pa.ArrowException, ValueError) as error:
        raise Refusal(
            found=f"files whose columns are not of the same types: {on_one_line(error)}",
            expected="one type for each column, in all files",
            where=log.uri,
            remedy="write the column with one type, or look at the days that have it alone",
        ) from error
