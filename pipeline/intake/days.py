"""Which day a row is of, where no column says it: that of its file, or by its place in the file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.intake.sources import Source
from schemas.errors import Refusal

Days = NDArray[np.datetime64]
"""datetime64[D], one a row."""
NUMBERED = re.compile(r"day_(\d+)(?=\.|$)")
NAMED = re.compile(r"(?<!\d)(\d{4})-?([01]\d)-?([0-3]\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class ByLine:
    """Row order as time: so many lines of the file are a day; 0: all of them."""

    first_day: date
    lines_per_day: int = 0

    def of(self, lines: NDArray[np.int64]) -> Days:
        """Of rows that begin in these lines, counted from 1. Raises Refusal for one after the year 9999."""
        days = (lines - 1) // self.lines_per_day if self.lines_per_day else np.zeros_like(lines)
        if len(days):
            _later(self.first_day, int(days.max()), f"line {int(lines.max()):,}")
        return np.datetime64(self.first_day, "D") + days


def by_files(sources: Sequence[Source], first_day: date | None, rows_per_day: int | None) -> list[ByLine]:
    """Of each file: `day_7` is the seventh day after the first one, `clicks-2026-11-19` names its own.

    With `rows_per_day` there is one file; without it, and without a day in its name, one file is the first day. Raises
    Refusal where that leaves open which day is meant.
    """
    if rows_per_day:
        if len(sources) > 1:
            raise _refusal(
                f"{len(sources)} files, and --rows-per-day",
                "one file, whose order is that of time",
                sources[1].uri,
                "import them one after the other with another --first-day each, or put them together: cat",
            )
        return [ByLine(first_day or _required_first_day(sources[0]), rows_per_day)]
    return [ByLine(_of_name(source, first_day, is_only=len(sources) == 1)) for source in sources]


def _of_name(source: Source, first_day: date | None, *, is_only: bool) -> date:
    if numbered := NUMBERED.search(source.name):
        return _later(first_day or _required_first_day(source), int(numbered[1]), source.uri)
    if named := NAMED.search(source.name):
        try:
            return date(*map(int, named.groups()))
        except ValueError:
            pass
    if first_day and is_only:
        return first_day
    raise _refusal(
        f"{source.name}, whose name tells no day",
        "day_0, day_1, ...; or a name with a day, as clicks-2026-11-19.csv",
        source.uri,
        "rename the files; or give one file, with --rows-per-day where its order is that of time, or --first-day where "
        "all of it is one day",
    )


def _later(day: date, num_days: int, where: str) -> date:
    if num_days > (date.max - day).days:
        raise _refusal(
            f"a day {num_days:,} days after {day}",
            f"days up to {date.max}",
            where,
            "correct --first-day, --rows-per-day, or the number in the file's name",
        )
    return day + timedelta(num_days)


def _required_first_day(source: Source) -> date:
    raise _refusal(
        "no --first-day", "the day that the first row is of", source.uri, "give it, as --first-day 2026-11-01"
    )


def _refusal(found: str, expected: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)
