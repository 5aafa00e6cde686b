"""Hours that a day has, and that the log has no folder of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

MAX_DAYS = 5  # in words


@dataclass(frozen=True, slots=True, order=True)
class MissingHours:
    """Those of one day, as its timezone's clock shows them."""

    day: date
    hours: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.day} without {hours_in_words(self.hours)}"


def missing_in_words(missing: Sequence[MissingHours]) -> str:
    """Which hours which days lack; empty where none does."""
    return "; ".join(map(str, missing[:MAX_DAYS])) + " ..." * (len(missing) > MAX_DAYS)


def hours_in_words(hours: Sequence[int]) -> str:
    """`hour 03`, or `hours 03, 07 to 09`."""
    runs: list[list[int]] = []
    for hour in sorted(hours):
        if runs and runs[-1][-1] == hour - 1:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    words = [f"{run[0]:02}" + f" to {run[-1]:02}" * (len(run) > 1) for run in runs]
    return f"hour{'s' * (len(hours) > 1)} {', '.join(words)}"
