"""A log that nobody has described made a feature spec and a config that train as they stand."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.data import entries, folder_guess, layouts, logs
from pipeline.data.entries import name_of
from pipeline.intake import config_text, csv_sample, log_files, sample, spec_text
from pipeline.intake.column import Column
from pipeline.intake.config_text import Drawn
from pipeline.intake.holding_out import MOST_DAYS, DayRows, HeldOut, choose
from pipeline.intake.log_files import LogFiles
from pipeline.intake.names import label_rank
from pipeline.intake.proposed import Proposed, Told, propose
from pipeline.intake.sample import Sample
from schemas.config import DataConfig, TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.folder_path import FolderPath
from schemas.loading import checked
from schemas.partitioning import BY_DAY, Partitioning
from schemas.yaml_text import parse

DAY = FeatureSpec.model_fields["partition"].default


@dataclass(frozen=True, slots=True)
class Looked:
    """A log that was looked at: which files it has, some of its rows, and how it is divided into days."""

    files: LogFiles
    sample: Sample
    logs_uri: str
    """The folder that a config names; of CSV what is to be imported."""
    partitioning: Partitioning

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


@dataclass(frozen=True, slots=True)
class Draft:
    """The two files, as texts, and what is held out, in words."""

    config: str
    features: str
    held_out: str


def look(uri: str) -> Looked:
    """Raises Refusal for what is no log of Parquet or CSV, has no rows, or of Parquet tells no day."""
    files = log_files.find(uri)
    taken = sample.take(files)
    if files.kind == "csv":
        return Looked(files, taken, uri, BY_DAY)
    logs_uri = _folder_of(files) if files.is_file else uri
    root = files.root.rpartition("/")[0] if files.is_file else files.root
    partitioning = folder_guess.found(files.fs, root)
    if partitioning is None:
        raise _without_days(files, taken)
    return Looked(files, taken, logs_uri, partitioning)


def write_up(looked: Looked, proposed: Proposed, out: Path) -> Draft:
    """The files for `out` and `features_path(out)`, checked as they will be when they are read again.

    Of CSV the config is for what `nightjar import` will have made of it, at `imported_logs(out)`.
    """
    held_out, num_days = _of_csv(looked, proposed) if looked.is_csv else _of_days(looked, proposed)
    drawn = Drawn(
        logs=imported_logs(out).name if looked.is_csv else relative(looked.logs_uri, out.parent),
        partitioning=looked.partitioning,
        features=features_path(out).name,
        model_name=model_name(out),
        total_rows=looked.sample.total_rows,
        num_days=num_days,
        held_out=held_out,
    )
    draft = Draft(
        config=config_text.text(drawn, out.name),
        features=spec_text.text(proposed, looked.sample.in_words),
        held_out=held_out.words,
    )
    tree = parse(draft.config, str(out), "")
    tree["data"]["features"] = parse(draft.features, str(features_path(out)), "")
    checked(TrainConfig, tree, str(out))
    return draft


def features_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}_features{out.suffix}")


def imported_logs(out: Path) -> Path:
    """The folder of Parquet that a config for CSV reads."""
    return out.with_name(f"{out.stem}_logs")


def model_name(out: Path) -> str:
    """A registered model's name, by the file's."""
    return re.sub(r"[^\w-]+", "-", out.stem).strip("-") or "ctr"


def relative(uri: str, folder: Path) -> str:
    """As a config in that folder has it: from there, where that is shorter, or whole."""
    return uri if "://" in uri else min(os.path.relpath(uri, folder.absolute()), uri, key=len)


def _of_days(looked: Looked, proposed: Proposed) -> tuple[HeldOut, int]:
    """(what is held out, how many days the log has)."""
    data = DataConfig(logs_uri=looked.logs_uri, partitioning=looked.partitioning, features=proposed.spec())
    days = logs.days_of(data)
    newest = logs.find(data, days[-MOST_DAYS:])
    rows = [DayRows(day, newest.of_days([day]).num_rows) for day in newest.days]
    return choose(rows, len(days), proposed.click_share, _key_name(proposed)), len(days)


def _of_csv(looked: Looked, proposed: Proposed) -> tuple[HeldOut, int]:
    key = _key_name(proposed)
    if looked.time_column or not key:
        return HeldOut({}, "the newest day is held out"), 0
    words = f"a fifth of the rows is held out, drawn by a hash of {key}, since no column tells a row's day"
    return HeldOut({"by": "random", "row_key": key}, words), 0


def _key_name(proposed: Proposed) -> str | None:
    return proposed.row_key.name if proposed.row_key else None


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
