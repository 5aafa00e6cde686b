"""A log that nobody has described made a feature spec and a config that train as they stand."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.data import logs
from pipeline.intake import config_text, spec_text
from pipeline.intake.config_text import Drawn
from pipeline.intake.holding_out import MOST_DAYS, DayRows, HeldOut, choose
from pipeline.intake.look import Looked
from pipeline.intake.proposed import Proposed
from schemas.config import DataConfig, TrainConfig
from schemas.features import FeatureSpec
from schemas.loading import checked
from schemas.yaml_text import parse

IMPORTED = "_logs"  # behind a config's name, what the log is called that is imported for it


@dataclass(frozen=True, slots=True)
class Described:
    """A log's columns: the spec, its text, and what share of the rows has a click, if the label is of clicks."""

    spec: FeatureSpec
    text: str
    click_share: float | None


@dataclass(frozen=True, slots=True)
class Draft:
    """The two files, as texts, and what is held out, in words."""

    config: str
    features: str
    held_out: str


def described(looked: Looked, proposed: Proposed, verb: str) -> Described:
    """By what was seen of the columns."""
    text = spec_text.text(proposed, f"`nightjar {verb}` from {looked.sample.in_words}")
    return Described(proposed.spec(), text, proposed.click_share)


def write_up(looked: Looked, columns: Described, out: Path, verb: str) -> Draft:
    """The files for `out` and `features_path(out)`, checked as they will be when they are read again.

    Of CSV the config is for what `nightjar import` will have made of it, at `imported_logs(out)`.
    """
    held_out, num_days = _of_csv(looked, columns.spec) if looked.is_csv else _of_days(looked, columns)
    drawn = Drawn(
        logs=imported_logs(out).name if looked.is_csv else relative(looked.logs_uri, out.parent),
        partitioning=looked.partitioning,
        timezone=looked.timezone,
        features=features_path(out).name,
        model_name=model_name(out),
        verb=verb,
        total_rows=looked.sample.total_rows,
        num_days=num_days,
        held_out=held_out,
    )
    draft = Draft(config_text.text(drawn, out.name), columns.text, held_out.words)
    tree = parse(draft.config, str(out), "")
    tree["data"]["features"] = parse(draft.features, str(features_path(out)), "")
    checked(TrainConfig, tree, str(out))
    return draft


def features_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}_features{out.suffix}")


def imported_logs(out: Path) -> Path:
    """The folder of Parquet that a config for CSV reads."""
    return out.with_name(f"{out.stem}{IMPORTED}")


def model_name(out: Path) -> str:
    """A registered model's name, by the file's."""
    return re.sub(r"[^\w-]+", "-", out.stem).strip("-") or "ctr"


def relative(uri: str, folder: Path) -> str:
    """As a config in that folder has it: from there, where that is shorter, or whole."""
    return uri if "://" in uri else min(os.path.relpath(uri, folder.absolute()), uri, key=len)


def _of_days(looked: Looked, columns: Described) -> tuple[HeldOut, int]:
    """(what is held out, how many days the log has)."""
    data = DataConfig(
        logs_uri=looked.logs_uri,
        partitioning=looked.partitioning,
        timezone=looked.timezone,
        features=columns.spec,
    )
    days = logs.days_of(data)
    newest = logs.find(data, days[-MOST_DAYS:])
    rows = [DayRows(day, newest.of_days([day]).num_rows) for day in newest.days]
    return choose(rows, len(days), columns.click_share, columns.spec.row_key), len(days)


def _of_csv(looked: Looked, spec: FeatureSpec) -> tuple[HeldOut, int]:
    if looked.time_column or not spec.row_key:
        return HeldOut({}, "the newest day is held out"), 0
    words = f"a fifth of the rows is held out, drawn by a hash of {spec.row_key}, since no column tells a row's day"
    return HeldOut({"by": "random", "row_key": spec.row_key}, words), 0
