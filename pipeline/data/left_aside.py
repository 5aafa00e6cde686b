"""What lies in a log and is read for no day, so that it is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

ZERO_BYTES = "zero bytes"
NOT_PARQUET = "not Parquet"
WITHOUT_A_DAY = "rows without a day"


@dataclass(frozen=True, slots=True)
class LeftAside:
    """Something in the log that is read for no day: its URI, and why; `day` is None for what lies beside the days."""

    uri: str
    reason: str
    day: date | None = None


def in_words(left_aside: Sequence[LeftAside]) -> str:
    """How many were left aside for which reasons, for a note; empty where none was."""
    reasons = Counter(one.reason for one in left_aside)
    counts = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
    return f"{len(left_aside)} left aside ({counts})" if left_aside else ""
