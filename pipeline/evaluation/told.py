"""Rows counted by the number that they were told, from the lowest up, in bins that any parts of the rows share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.tally import Floats, in_order, starts_of_runs

MAX_BINS = 4_096


@dataclass(frozen=True, eq=False)
class Told:
    """A bin holds the numbers whose float64 is the same but for its last `width` bits; arrays [M], sorted by bin.

    There are as many bits left as make at most MAX_BINS bins of the rows, whichever way these were added up.
    """

    width: int
    bins: NDArray[np.int64]
    mass: Floats  # rows, or their weight
    told: Floats  # sum of what was told, weighted
    labels: Floats  # sum of the labels, weighted

    @classmethod
    def none(cls) -> Self:
        return cls(0, np.empty(0, np.int64), *(np.empty(0) for _ in range(3)))

    @classmethod
    def of(cls, told: Floats, labels: Floats, weights: Floats) -> Self:
        """Count rows, all arrays [B]."""
        return cls._of(0, in_order(told), weights, weights * told, weights * labels)

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """One that has the rows of all."""
        own = [cls.none(), *parts]
        width = max(one.width for one in own)
        bins = np.concatenate([one.bins >> (width - one.width) for one in own])
        return cls._of(
            width, bins, *(np.concatenate([getattr(one, name) for one in own]) for name in ("mass", "told", "labels"))
        )

    @classmethod
    def _of(cls, width: int, bins: NDArray[np.int64], *sums: Floats) -> Self:
        order = np.argsort(bins, kind="stable")
        bins = bins[order]
        while len(starts := starts_of_runs(bins)) > MAX_BINS:
            width, bins = width + 1, bins >> 1
        if not len(starts):
            return cls.none()
        return cls(width, bins[starts], *(np.add.reduceat(one[order], starts) for one in sums))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        names = ("width", "bins", "mass", "told", "labels")
        return {f"told_{name}": np.asarray(getattr(self, name)) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(int(arrays["told_width"]), *(arrays[f"told_{name}"] for name in ("bins", "mass", "told", "labels")))
