"""Columns of fields that begin in the midst of a log: in the rows of older files they are null."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

MAX_NAMES = 5  # in words


@dataclass(frozen=True, slots=True, order=True)
class LateColumn:
    """A column that some of a day's files lack, since it begins behind them."""

    day: date
    name: str


def late_in_words(columns: Sequence[LateColumn]) -> str:
    """Which they are, and which days lack them; empty where there are none."""
    days: dict[str, list[date]] = {}
    for column in sorted(columns):
        days.setdefault(column.name, []).append(column.day)
    names = ", ".join(f"{name!r} ({_span(of)})" for name, of in list(days.items())[:MAX_NAMES])
    more = f" and {len(days) - MAX_NAMES} more" if len(days) > MAX_NAMES else ""
    return f"columns of fields that older files lack, where they are null: {names}{more}" if days else ""


def _span(days: Sequence[date]) -> str:
    return f"on {days[0]}" if len(days) == 1 else f"on {len(days)} days, {days[0]} to {days[-1]}"
