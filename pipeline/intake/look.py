"""A log as it is met for the first time: its files, some of its rows, and how they are divided into days."""

from dataclasses import dataclass

import pyarrow as pa

from pipeline.data import entries, folder_guess, layouts
from pipeline.data.entries import name_of
from pipeline.intake import csv_sample, log_files, records, sample
from pipeline.intake.column import Column
from pipeline.intake.log_files import LogFiles
from pipeline.intake.names import label_rank
from pipeline.intake.proposed import Proposed, Told, propose
from pipeline.intake.sample import Sample
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.folder_path import FolderPath
from schemas.partitioning import BY_DAY, Partitioning, require_timezone

DAY = FeatureSpec.model_fields["partition"].default


@dataclass(frozen=True, slots=True)
class Looked:
    """A log that was looked at: which files it has, some of its rows, and how it is divided into days."""

    files: LogFiles
    sample: Sample
    logs_uri: str
    """The folder that a config names; of CSV what is to be imported."""
    partitioning: Partitioning
    timezone: str
    """In which days begin at midnight, as is said, or as imports have had it."""

    @property
    def is_csv(self) -> bool:
        return self.files.kind == "csv"

    def proposed(self, told: Told) -> Proposed:
        return propose(self._rows(told), self.sample.total_rows, told, self.files.uri, self._by_path)

    @property
    def time_column(self) -> str | None:
        """By which an import divides rows into days: the column of moments that is called most like one."""
        rows = self.sample.rows
        found = [name for name in rows.column_names if Column(name, rows.column(name)).is_time]
        return min(found, key=folder_guess.likelihood) if found else None

    @property
    def delimiter(self) -> str:
        """What parts the values of CSV, as an import is told it."""
        delimiter = csv_sample.delimiter_of(self.files.fs, self.files.files[0])
        return "tab" if delimiter == "\t" else delimiter

    def _rows(self, told: Told) -> pa.Table:
        """Of CSV with a label of yes and no made 0 and 1, as `nightjar import` makes it."""
        rows = self.sample.rows
        labels = [told.label] if told.label else [name for name in rows.column_names if label_rank(name) is not None]
        for name in labels if self.is_csv else ():
            rows = csv_sample.with_clicks(rows, name) if name in rows.column_names else rows
        return rows

    @property
    def _by_path(self) -> tuple[str, ...]:
        """Columns that stand in the folders' names, and the one that no spec names because it means the day."""
        return (DAY, *(FolderPath.of(self.partitioning.path).keys if self.partitioning.by == "path" else ()))


def look(uri: str, timezone: str | None = None) -> Looked:
    """Raises Refusal for what is no log of Parquet or CSV, has no rows, or of Parquet tells no day.

    So it does where no `timezone` is given and imports have had several.
    """
    if timezone is not None:
        require_timezone(timezone, where="--timezone")
    files = log_files.find(uri)
    taken = sample.take(files)
    if files.kind == "csv":
        return Looked(files, taken, uri, BY_DAY, timezone or "UTC")
    logs_uri = _folder_of(files) if files.is_file else uri
    root = files.root.rpartition("/")[0] if files.is_file else files.root
    partitioning = folder_guess.found(files.fs, root)
    if partitioning is None:
        raise _without_days(files, taken)
    return Looked(files, taken, logs_uri, partitioning, timezone or records.timezone_of(logs_uri) or "UTC")


def _folder_of(file: LogFiles) -> str:
    """Of a Parquet file, which is a log if it is the only one in its folder."""
    others = entries.listed(file.fs, file.root.rpartition("/")[0])
    parquet = [name_of(one) for one in entries.without_notes(others) if layouts.kind_of(name_of(one)) == "Parquet"]
    if len(parquet) > 1:
        raise Refusal(
            found=f"one of {len(parquet)} Parquet files of its folder",
            expected="a log's folder, or a file that has one to itself",
            where=file.uri,
            remedy="name the folder; or move the file into one of its own",
        )
    return file.uri.rpartition("/")[0]


def _without_days(files: LogFiles, taken: Sample) -> Refusal:
    texts = [name for name in taken.rows.column_names if Column(name, taken.rows.column(name)).is_time]
    written = f"write {texts[0]!r} as timestamps where the log is written; or, " if texts else ""
    return Refusal(
        found="no folder whose name tells a day, and no column of times",
        expected="days: folders as date=2026-11-19/, or a column of timestamps or dates",
        where=files.uri,
        remedy=f"{written}where the rows have no time, put the files into one folder date=YYYY-MM-DD/: a row key then "
        "holds out a fifth of them by its hash",
    )
