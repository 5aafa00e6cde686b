"""Which days, or which rows, are trained on and which are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.data.hashing import Hashed
from schemas.data import DataConfig, RandomSplit
from schemas.errors import Refusal


@dataclass(frozen=True, slots=True)
class ResolvedSplit:
    """A split whose days are known."""

    train_days: tuple[date, ...]
    test_days: tuple[date, ...]
    by_key: RandomSplit | None = None
    """Which rows of these days are held out; None: all of the `test_days`."""
    validation_days: tuple[date, ...] = ()

    @property
    def days(self) -> tuple[date, ...]:
        """All that are read, in order."""
        return tuple(sorted({*self.train_days, *self.validation_days, *self.test_days}))

    def is_held_out(self, table: pa.Table, day: date) -> NDArray[np.bool_]:
        """Mask over the rows of one day."""
        if self.by_key:
            return _is_drawn(table, self.by_key)
        return np.full(table.num_rows, day in self.test_days)

    def is_learned(self, table: pa.Table, day: date) -> NDArray[np.bool_]:
        """Mask over the rows of one day that a model may learn from, be it by training or by a share of validation."""
        return np.zeros(table.num_rows, np.bool_) if day in self.validation_days else ~self.is_held_out(table, day)


def resolve(days: Sequence[date], data: DataConfig) -> ResolvedSplit:
    """The config's split of the log's days; a random one has all of them in both. Raises Refusal for absent ones."""
    split, where = data.split, data.logs_uri
    if isinstance(split, RandomSplit):
        return ResolvedSplit(tuple(days), tuple(days), split)
    test_days = tuple(sorted(split.test_dates)) or (max(days),)
    validation_days = tuple(sorted(split.validation_dates))
    require([*validation_days, *test_days], days, where)
    if validation_days and validation_days[-1] >= test_days[0]:
        raise Refusal(
            found=f"validation day {validation_days[-1]}, and {test_days[0]} is held out, the log's newest",
            expected="validation days before the held-out ones",
            where="data.split.validation_dates",
            remedy="name earlier days, or set data.split.test_dates to later ones",
        )
    until = (*validation_days, *test_days)[0]
    first, last = split.train_from or min(days), split.train_to or max(days)
    train_days = tuple(day for day in days if first <= day <= last and day < until)
    if not train_days and len(days) == 1:
        raise Refusal(
            found=f"one day, {days[0]}, which is held out",
            expected="days before it, to train on",
            where=where,
            remedy="write more days; or hold out some rows at random, by a column that names a row: "
            "--set 'data.split={by: random, row_key: COLUMN}'",
        )
    if not train_days:
        raise Refusal(
            found=f"no training day from {first} to before {until}; the log has {min(days)} to {max(days)}",
            expected="at least one day before those of validation and the held-out ones",
            where=where,
            remedy="set data.split.train_from, validation_dates and test_dates to days that the log has",
        )
    return ResolvedSplit(train_days, test_days, validation_days=validation_days)


def to_judge(days: Sequence[date], data: DataConfig) -> ResolvedSplit:
    """These days held out in place of the config's, and none to train on; a random split goes on holding out rows."""
    return ResolvedSplit((), tuple(days), data.split if isinstance(data.split, RandomSplit) else None)


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


def _is_drawn(table: pa.Table, split: RandomSplit) -> NDArray[np.bool_]:
    # The finalizer of splitmix64: another seed must reorder the keys, not shift them (Steele, Lea, Flood 2014).
    mixed = Hashed.of(table.column(split.row_key)).of_rows() + np.uint64(split.seed * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed < np.uint64(split.test_share * 2.0**64))
