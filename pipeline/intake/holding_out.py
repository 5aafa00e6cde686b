"""Which rows of a log that nobody has described yet are held out: enough of them that a model can be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from schemas.night import GateConfig

MOST_DAYS = 7  # held out together, before rows are drawn at random in their place
ENOUGH = GateConfig()


@dataclass(frozen=True, slots=True)
class HeldOut:
    """`split` as `data.split` has it, empty for its default; and in words what is held out, and why."""

    split: dict[str, Any]
    words: str


@dataclass(frozen=True, slots=True)
class DayRows:
    """A day of the log and its rows."""

    day: date
    rows: int


def choose(newest: Sequence[DayRows], num_days: int, click_share: float | None, row_key: str | None) -> HeldOut:
    """The newest day where it has rows and clicks enough for the gate, else as many of the newest as have.

    `newest` are up to MOST_DAYS of the log's days, in their order, `click_share` is the share of rows with a click, or
    None of a label of something else. Where so many have too few, rows are drawn by a hash of the row's key, if there
    is one.
    """
    for number in range(1, min(len(newest), num_days - 1) + 1):
        days, rows = newest[-number:], sum(one.rows for one in newest[-number:])
        if rows >= ENOUGH.min_rows and (click_share is None or rows * click_share >= ENOUGH.min_positives):
            first, last = days[0].day, days[-1].day
            if number == 1:
                return HeldOut({}, f"the newest day is held out, of {num_days}: {last}, with {rows:,} rows")
            dates = [str(one.day) for one in days]
            lacking = "rows" if click_share is None else "clicks"
            words = f"the newest {number} of {num_days} days are held out, {first} to {last}: fewer have few {lacking}"
            return HeldOut({"by": "date", "test_dates": dates}, words)
    few = _few(newest, num_days, click_share)
    if row_key:
        words = f"a fifth of the rows is held out, drawn by a hash of {row_key}: {few}"
        return HeldOut({"by": "random", "row_key": row_key}, words)
    return HeldOut({}, f"the newest day is held out, though {few}; a column that names each row could be --row-key")


def _few(newest: Sequence[DayRows], num_days: int, click_share: float | None) -> str:
    if num_days < 2:
        return "the log has one day"
    rows = sum(one.rows for one in newest)
    clicks = "" if click_share is None else f", about {rows * click_share:,.0f} of them clicks"
    return f"the newest {len(newest)} days have only {rows:,} rows{clicks}"
