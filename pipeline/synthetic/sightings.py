"""How often the ids of a day's rows were seen on the days before."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, Field

from pipeline.synthetic.chance import Array
from schemas.features import FROZEN

LEAST = {"0": 0, "1-9": 1, "10-99": 10, "100+": 100}
SELDOM = 10


class IdTruth(BaseModel):
    """One column of ids at the end of a day. A null counts as a value."""

    model_config = FROZEN
    values: int = Field(description="different ones in the rows of the days so far, this one included")
    seldom: float = Field(description=f"share of these that fewer than {SELDOM} of those rows have")
    rows_by_times_seen: dict[str, float] = Field(
        description="shares of the day's rows by how many rows of the days before have the same value"
    )


class Sightings:
    """Rows of each id, on the days that have ended and on the one that has not: eight bytes an id that ever was."""

    def __init__(self) -> None:
        self._before: dict[str, Array] = {}
        self._today: dict[str, Array] = {}

    def add(self, ids: Mapping[str, Array]) -> None:
        """Some rows of the day: by column, a number for each row's id, which stays this id's over all days."""
        for column, numbers in ids.items():
            seen = np.bincount(numbers).astype(np.int32)
            self._today[column] = _sum(self._today.get(column, seen[:0]), seen)

    def end_day(self) -> dict[str, IdTruth]:
        truths = {}
        for column, today in self._today.items():
            before = _sum(np.zeros(len(today), np.int32), self._before.get(column, today[:0]))
            rows = np.bincount(np.digitize(before[: len(today)], list(LEAST.values())) - 1, today, len(LEAST))
            self._before[column] = so_far = _sum(before, today)
            values = int(np.count_nonzero(so_far))
            truths[column] = IdTruth(
                values=values,
                seldom=np.count_nonzero((so_far > 0) & (so_far < SELDOM)) / values,
                rows_by_times_seen=dict(zip(LEAST, rows / rows.sum(), strict=True)),
            )
        self._today = {}
        return truths


def _sum(one: Array, other: Array) -> Array:
    """Number by number; what the shorter one lacks is 0."""
    shorter, longer = sorted((one, other), key=len)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
