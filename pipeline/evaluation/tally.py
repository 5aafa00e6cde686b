"""Clicks and other rows, counted by a key: what rankings are read from, whoever has counted a part of the rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# int64 where rows count one each, float64 where they carry weights.
Counts = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Positives and negatives of each key that occurs, sorted by key; arrays [M], 24 bytes a key."""

    keys: NDArray[np.int64]
    positives: Counts
    negatives: Counts

    @classmethod
    def empty(cls) -> Self:
        none = np.empty(0, np.int64)
        return cls(none, none, none)

    @classmethod
    def of(cls, keys: NDArray[np.int64], positives: Counts, negatives: Counts) -> Self:
        """Count rows, all arrays [B]."""
        return cls._of(np.argsort(keys), keys, positives, negatives)

    @classmethod
    def merged(cls, tallies: Iterable[Self]) -> Self:
        """One that counts each key once. The stable sort finds the runs that are sorted already: O(M) for two."""
        columns = zip(*((one.keys, one.positives, one.negatives) for one in (cls.empty(), *tallies)), strict=True)
        keys, positives, negatives = (np.concatenate(column) for column in columns)
        return cls._of(np.argsort(keys, kind="stable"), keys, positives, negatives)

    @classmethod
    def _of(cls, order: NDArray[np.int64], keys: NDArray[np.int64], positives: Counts, negatives: Counts) -> Self:
        keys = keys[order]
        starts = starts_of_runs(keys)
        if not len(starts):
            return cls.empty()
        return cls(keys[starts], np.add.reduceat(positives[order], starts), np.add.reduceat(negatives[order], starts))

    def auc(self) -> float | None:
        """P(a positive's key is above a negative's), ties count half. None: there are none of one of them."""
        return auc_of(self.positives, self.negatives)

    def mean_auc_of_runs(self, runs: NDArray[Any]) -> float | None:
        """The AUC within each run of equal values of `runs` [M], averaged by rows. None: no run has both classes."""
        starts = starts_of_runs(runs)
        if not len(starts):
            return None
        negatives_below = np.cumsum(self.negatives) - self.negatives
        negatives_below -= np.repeat(negatives_below[starts], np.diff(starts, append=len(self.keys)))
        pairs_won = np.add.reduceat(self.positives * (negatives_below + 0.5 * self.negatives), starts)
        positives, negatives = np.add.reduceat(self.positives, starts), np.add.reduceat(self.negatives, starts)
        both = (positives > 0) & (negatives > 0)
        if not both.any():
            return None
        auc = pairs_won[both] / (1.0 * positives[both] * negatives[both])
        return float(np.average(auc, weights=(positives + negatives)[both]))


def auc_of(positives: Counts, negatives: Counts) -> float | None:
    """The AUC of rows counted by what they are ranked by, from the lowest up; None: of one class."""
    pairs = float(positives.sum()) * float(negatives.sum())
    negatives_below = np.cumsum(negatives) - negatives
    return float((positives * (negatives_below + 0.5 * negatives)).sum()) / pairs if pairs > 0 else None


Tallies = tuple[Tally, ...]
"""Tallies of parts of the rows, each of more than twice the keys of the next."""


def joined(tallies: Tallies) -> Tallies:
    """The same, as Tallies: each is joined only with those of about its size, so N batches cost O(N log N), not O(N^2).

    A key may be in several of them.
    """
    found: list[Tally] = []
    for tally in sorted(tallies, key=lambda one: len(one.keys), reverse=True):
        while found and len(found[-1].keys) <= 2 * len(tally.keys):
            tally = Tally.merged([found.pop(), tally])
        found.append(tally)
    return tuple(found)


def in_equal_bins(mass: Counts, num_bins: int, *sums: Floats) -> tuple[Floats, ...]:
    """Means of each of `sums` over bins of about equal mass, and last the mass of the bins; from arrays [M], in order.

    A key falls whole into the bin that holds its middle row, so ties can make the bins fewer. Keys without mass are
    passed over.
    """
    filled = mass > 0
    mass, sums = mass[filled], tuple(one[filled] for one in sums)
    middle = np.cumsum(mass) - 0.5 * mass
    starts = starts_of_runs(np.floor(middle * num_bins / mass.sum()))
    if not len(starts):
        return tuple(np.empty(0) for _ in (*sums, mass))
    of_bins = np.add.reduceat(mass, starts)
    return (*(np.add.reduceat(one, starts) / of_bins for one in sums), of_bins.astype(np.float64))


def in_order(values: Floats) -> NDArray[np.int64]:
    """Keys that are equal where the values are, and are as they are in order."""
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


def values_of(keys: NDArray[np.int64]) -> Floats:
    """What `in_order` has made the keys of."""
    return np.where(keys < 0, keys ^ np.int64(2**63 - 1), keys).view(np.float64)


def starts_of_runs(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where each run of equal values begins; empty for none."""
    return np.flatnonzero(np.concatenate([values[:1] == values[:1], values[1:] != values[:-1]]))
