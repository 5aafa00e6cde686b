"""Which days, or which rows, are trained on and which are held out."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from pipeline.data.encode import hash_column
from schemas.config import DateSplit, RandomSplit
from schemas.errors import Refusal

Split = DateSplit | RandomSplit


def choose_days(days: Sequence[date], split: Split, where: str) -> tuple[list[date], list[date]]:
    """(training days, held-out days) of the log's days; a random split has all days in both."""
    if isinstance(split, RandomSplit):
        return list(days), list(days)
    test_days = sorted(split.test_dates) or [max(days)]
    require(test_days, days, where)
    first = split.train_from or min(days)
    train_days = [day for day in days if first <= day < test_days[0] and (not split.train_to or day <= split.train_to)]
    if not train_days:
        raise Refusal(
            found=f"no training day from {first} to before {test_days[0]}; the log has {min(days)} to {max(days)}",
            expected="at least one day before the held-out ones",
            where=where,
            remedy="set data.split.train_from and data.split.test_dates to days that the log has",
        )
    return train_days, test_days


def is_held_out(table: pa.Table, day: date, split: Split, test_days: Sequence[date]) -> np.ndarray:
    """Mask over the rows of one day."""
    if isinstance(split, DateSplit):
        return np.full(table.num_rows, day in test_days)
    # The finalizer of splitmix64: another seed must reorder the keys, not shift them (Steele, Lea, Flood 2014).
    mixed = hash_column(table.column(split.row_key)) + np.uint64(split.seed * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed < np.uint64(split.test_share * 2.0**64))


def require(wanted: Sequence[date], days: Sequence[date], where: str) -> None:
    """Refuse days that the log does not have."""
    absent = sorted(set(wanted) - set(days))
    if absent:
        raise Refusal(
            found=f"no day {', '.join(map(str, absent))}",
            expected=f"days between {min(days)} and {max(days)} that the log has",
            where=where,
            remedy="correct the dates, or wait until the day is written",
        )
