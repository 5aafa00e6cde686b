"""Which days of a log are whole, and which of them the night of a day holds out. Nothing is read but listings."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pipeline.runtime import files
from schemas.config import DataConfig
from schemas.errors import Refusal
from schemas.night import NightConfig


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


def held_out_with(day: date, days: Sequence[date], night: NightConfig) -> list[date]:
    """Those of the log's days that the night of a day holds out: it, and what of its period lies before it."""
    return [one for one in days if _period(one, night) == _period(day, night) and one <= day]


def _folder(day: date, data: DataConfig) -> str:
    return f"{data.logs_uri}/{data.features.partition}={day}"


def _period(day: date, night: NightConfig) -> tuple[int, ...]:
    return (day.year, day.month) if night.period == "month" else (day.year, day.month, day.day)
