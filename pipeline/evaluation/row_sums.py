"""What every objective has: sums of scored rows that batches and ranks can add, and the metrics read from them.

`of` reads rows once and forgets them, `+` joins batches, days or ranks, `metrics` reads the total. Nothing is averaged
over batches, so how the rows were split does not show in the result.
"""

import dataclasses
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from schemas.features import Objective

Estimate = tuple[float, float]
"""A figure and its standard error."""
Constant = float | tuple[float, ...]
"""What may be told of every row without a model: a rate of clicks, the share of each class, or a number."""


@dataclass(frozen=True)
class Metrics:
    """What is undefined is None, never 0: a ratio without clicks, a ranking of one class, anything of no rows.

    So is what another objective than the rows' own defines.
    """

    rows: int
    positives: float | None = None  # of clicks: sum of the labels, weighted where the rows are
    auc: float | None = None  # P(a click outscores a non-click), ties count half
    auc_error: float | None = None  # the exact AUC is within +- this: 0, or by bins b sum_b pos_b neg_b / (2 P N)
    log_loss: float | None = None  # nats a row
    ne: float | None = None  # loss / that of the best constant (of clicks He et al. 2014); 1 is what that constant gets
    calibration: float | None = None  # sum of p / sum of labels; above 1 promises too many clicks
    ece: float | None = None  # mean |p - label| over 20 bins of equal rows (Nguyen and O'Connor 2015)
    pr_auc: float | None = None  # average precision, one threshold a logit, or a bin
    gauc: float | None = None  # each user's AUC, averaged by impressions, of users with both classes (Zhu et al. 2017)
    base_rate: float | None = None  # of clicks: mean label
    accuracy: float | None = None  # of classes: share of the rows whose likeliest class is theirs
    macro_f1: float | None = None  # of classes: the mean, one each, of 2 hits / (rows of it + rows told to be it)
    rmse: float | None = None  # of numbers, in the label's unit
    mae: float | None = None  # of numbers, in the label's unit
    objective: Objective = "binary"

    def as_dict(self) -> dict[str, float]:
        """Name -> value of what is defined, ready to log."""
        own = dataclasses.asdict(self)
        del own["objective"]
        return {name: value for name, value in own.items() if value is not None}


class RowSums(ABC):
    """Everything the metrics of an objective need of any number of scored rows, and one addition to merge."""

    objective: ClassVar[Objective]
    rows: int

    @classmethod
    @abstractmethod
    def zero(cls) -> Self:
        """Of no rows."""

    @classmethod
    @abstractmethod
    def of(
        cls,
        logits: NDArray[Any],
        labels: NDArray[Any],
        weights: NDArray[Any] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Sum the rows of a batch, [B] each; logits of classes are [B, C]. Groups are of clicks alone.

        Raises ValueError for lengths that differ, logits that are not finite, labels of another objective, weights
        below 0.
        """

    @abstractmethod
    def __add__(self, other: Self) -> Self:
        """Exact for counts, to rounding for float sums."""

    @abstractmethod
    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays to gather or store. Their floats keep the rounding of the order the rows were added in."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `to_arrays` has given."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Read the total."""

    def to_bytes(self) -> bytes:
        """The arrays as a compressed npz file."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **self.to_arrays())
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, npz: bytes) -> Self:
        with np.load(io.BytesIO(npz)) as arrays:
            return cls.from_arrays(dict(arrays))


def check_columns(logits: NDArray[Any], **columns: NDArray[Any] | None) -> None:
    """Raise ValueError where `weights` or others differ in length from the logits [B, ...], or hold what none may."""
    shapes = {name: column.shape for name, column in columns.items() if column is not None}
    if any(shape != logits.shape[:1] for shape in shapes.values()):
        raise ValueError(
            f"expected one-dimensional columns of one length, found { ({'logits': logits.shape} | shapes) }"
        )
    refuse_rows(~np.isfinite(logits), "logits", logits, expected="finite values")
    weights = columns.get("weights")
    if weights is not None:
        refuse_rows(~(np.isfinite(weights) & (weights >= 0)), "weights", weights, expected="finite values of 0 or more")


def refuse_rows(bad: NDArray[np.bool_], name: str, values: NDArray[Any], expected: str) -> None:
    """Raise ValueError where a row's value is `bad`; a row of several counts once."""
    if bad.any():
        of_row = bad.reshape(len(bad), -1).any(axis=1)
        first = int(np.argmax(of_row))
        count = f"{of_row.sum():,} of {of_row.size:,} rows are such"
        raise ValueError(f"{name}: expected {expected}, found {values[first]} at row {first} ({count})")
