"""Which days of a log are whole, and which of them the night of a day holds out, by listings and footers alone."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pipeline.data import logs
from pipeline.runtime import files
from schemas.config import DataConfig, TrainConfig
from schemas.errors import Refusal
from schemas.night import NightConfig, RowsPeriod


def newest_complete(days: Sequence[date], data: DataConfig, night: NightConfig) -> date:
    """Raises Refusal where no day is complete."""
    complete = [day for day in days if is_complete(day, data, night)]
    if not complete:
        raise incomplete(max(days), data, night)
    return max(complete)


def is_complete(day: date, data: DataConfig, night: NightConfig) -> bool:
    if night.complete == "success_file":
        return files.is_complete(_folder(day, data))
    return day + timedelta(night.label_delay_days) <= datetime.now(UTC).date()


def incomplete(day: date, data: DataConfig, night: NightConfig) -> Refusal:
    by_file = night.complete == "success_file"
    return Refusal(
        found=f"{day} without a {files.SUCCESS} file" if by_file else f"{day}, whose labels may still be on their way",
        expected=f"a {files.SUCCESS} file in the day's folder, written last"
        if by_file
        else f"a day that ended {night.label_delay_days} day(s) ago",
        where=_folder(day, data),
        remedy="ask again when the day is whole, or change night.complete and night.label_delay_days",
    )


def held_out_with(day: date, days: Sequence[date], config: TrainConfig) -> list[date]:
    """Those of the log's days that the night of a day holds out: it, and what of its period lies before it.

    Raises Refusal where a period of rows has fewer.
    """
    period, until = config.night.period, [one for one in days if one <= day]
    if not isinstance(period, RowsPeriod):
        return [one for one in until if of_period(one, period) == of_period(day, period)]
    held_out: list[date] = []
    num_rows = 0
    for one in reversed(until):
        held_out.insert(0, one)
        num_rows += rows_of(one, config.data)
        if num_rows >= period.rows:
            return held_out
    raise Refusal(
        found=f"{num_rows:,} rows in the {len(until)} days up to {day}",
        expected=f"at least {period.rows:,} to hold out, and days before them to train on",
        where=config.data.logs_uri,
        remedy="ask for a later date, or lower night.period.rows",
    )


def rows_of(day: date, data: DataConfig) -> int:
    """By the footers of its files."""
    return logs.find(data.logs_uri, [day], data.features, unknown_columns=data.unknown_columns).num_rows


def of_period(day: date, period: Literal["day", "week", "month"]) -> tuple[int, ...]:
    """What it has in common with the other days of its week or month alone."""
    if period == "week":
        return tuple(day.isocalendar())[:2]
    return (day.year, day.month) if period == "month" else (day.year, day.month, day.day)


def _folder(day: date, data: DataConfig) -> str:
    return f"{data.logs_uri}/{data.features.partition}={day}"
