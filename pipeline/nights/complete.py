"""Which days of a log are whole, and which of them the night of a day holds out, by listings and footers alone."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pipeline.data import logs
from pipeline.data.log_listing import LogListing
from pipeline.data.missing_hours import hours_in_words
from pipeline.runtime import files
from schemas.config import DataConfig, TrainConfig
from schemas.errors import Refusal
from schemas.night import NightConfig, RowsPeriod


def newest_complete(listing: LogListing, data: DataConfig, night: NightConfig) -> date:
    """Raises Refusal where no day is complete: why the newest is not."""
    for day in reversed(listing.days):
        if why_incomplete(day, listing, data, night) is None:
            return day
    raise why_incomplete(listing.days[-1], listing, data, night) or AssertionError


def why_incomplete(day: date, listing: LogListing, data: DataConfig, night: NightConfig) -> Refusal | None:
    """What the day still wants; None where it is whole.

    A day whose folders tell hours is whole with all of them, or where a `_SUCCESS` file says so and is asked for.
    """
    if night.complete == "success_file":
        return None if listing.is_marked(day) else _incomplete(day, listing, *_by_file(day, listing))
    if night.complete == "later_day" and day >= listing.days[-1]:
        return _incomplete(day, listing, f"{day}, the log's newest day", "a day after it, with which it has ended")
    if night.complete == "delay" and day + timedelta(night.label_delay_days) > _today(data):
        ago = f"a day that ended {night.label_delay_days} day(s) ago"
        return _incomplete(day, listing, f"{day}, whose labels may still be on their way", ago)
    missing = listing.missing_hours(day)
    if missing:
        each = f"a folder of each hour that the day has in {data.timezone}"
        without_rows = f", with a {files.SUCCESS} file in it where there were no rows"
        return _incomplete(day, listing, f"{day} without {hours_in_words(missing)}", each + without_rows)
    return None


def _by_file(day: date, listing: LogListing) -> tuple[str, str]:
    of_hours = ", or in that of each of its hours" if listing.has_hours else ""
    return (
        f"{day} without a {files.SUCCESS} file",
        f"a {files.SUCCESS} file in the day's folder{of_hours}, written last",
    )


def _incomplete(day: date, listing: LogListing, found: str, expected: str) -> Refusal:
    return Refusal(
        found=found,
        expected=expected,
        where=listing.where(day),
        remedy="ask again when the day is whole, or change night.complete and night.label_delay_days",
    )


def _today(data: DataConfig) -> date:
    return datetime.now(ZoneInfo(data.timezone)).date()


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
    return logs.find(data, [day]).num_rows


def of_period(day: date, period: Literal["day", "week", "month"]) -> tuple[int, ...]:
    """What it has in common with the other days of its week or month alone."""
    if period == "week":
        return tuple(day.isocalendar())[:2]
    return (day.year, day.month) if period == "month" else (day.year, day.month, day.day)
