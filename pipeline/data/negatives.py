"""A share of the rows without a click, for a stage that is to go over fewer of them: the same ones, whoever reads them.

The rows of a part were shuffled when it was written, so that one in so many of its negatives is a sample of them. Which
ones goes by their number within the part: how many that makes is known before any is read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import floor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Thinning:
    """Which of a part's negatives stay. `phase`, of 0 to 1, is how much of the next one those before it had left."""

    share: float = 1.0
    phase: float = 0.0

    def num_kept(self, num_negatives: int) -> int:
        return num_negatives if self.share == 1 else floor(num_negatives * self.share + self.phase)

    def kept(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """What stays of a part's packed rows, which are all its tables in their order."""
        if self.share == 1:
            yield from tables
            return
        num_before = 0
        for table in tables:
            is_kept = table.column("label").to_numpy() != 0
            negatives = np.flatnonzero(~is_kept)
            is_kept[negatives] = self._stays(num_before + np.arange(len(negatives)))
            num_before += len(negatives)
            yield table.filter(pa.array(is_kept))

    def _stays(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Those with which `num_kept` grows by one."""
        before, after = (np.floor(number * self.share + self.phase) for number in (numbers, numbers + 1))
        return np.asarray(after > before)
