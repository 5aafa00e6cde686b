"""Columns of a log that its feature spec does not know, where the config has them left aside with a warning."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

MAX_NAMES = 5  # in words


@dataclass(frozen=True, slots=True, order=True)
class UnknownColumn:
    """A column of a day's files that the feature spec does not know: it is not read."""

    day: date
    name: str


def unknown_in_words(columns: Sequence[UnknownColumn]) -> str:
    """Which they are, and since when; empty where there are none."""
    since: dict[str, date] = {}
    for column in sorted(columns):
        since.setdefault(column.name, column.day)
    names = ", ".join(f"{name!r} (since {day})" for name, day in list(since.items())[:MAX_NAMES])
    more = f" and {len(since) - MAX_NAMES} more" if len(since) > MAX_NAMES else ""
    return f"columns that the feature spec does not know, and that are not read: {names}{more}" if since else ""
