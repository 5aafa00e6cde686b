"""How well logits tell classes apart: who was taken for whom, and the nats that it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.row_sums import Constant, Estimate, Metrics, RowSums, check_columns, refuse_rows
from pipeline.evaluation.tally import Counts, Floats
from schemas.features import Objective

MAX_CONFUSED = 50  # classes of which it is known which was taken for which: more make no table that one reads


@dataclass(frozen=True, eq=False)
class ClassSums(RowSums):
    """Of rows whose labels are the number of a class, 0 to C - 1. Sums of no rows have no classes."""

    objective: ClassVar[Objective] = "multiclass"
    rows: int
    mass: Counts  # [C] rows of a class, or their weight
    told: Counts  # [C] of the rows, those told to be of a class: the one of the highest logit
    hits: Counts  # [C] those told to be of theirs
    confusion: Counts  # [C, C] of a class, told to be of a class; [0, 0] of more than MAX_CONFUSED classes
    nats: Floats  # [C] sum over the rows of a class, exact from the logits
    squares: Floats  # [C, 3] sum of squared weights times 1, nats, squared nats

    @classmethod
    def zero(cls) -> Self:
        none = np.zeros(0, np.int64)
        return cls(0, none, none, none, np.zeros((0, 0), np.int64), np.zeros(0), np.zeros((0, 3)))

    @classmethod
    def of(
        cls,
        logits: NDArray[Any],
        labels: NDArray[Any],
        weights: NDArray[Any] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        if logits.ndim != 2 or not logits.shape[1]:
            raise ValueError(f"expected a logit a class in each row, found logits of shape {logits.shape}")
        check_columns(logits, labels=labels, weights=weights, groups=groups)
        num_classes = logits.shape[1]
        is_class = (labels >= 0) & (labels < num_classes) & (labels == np.floor(labels))
        refuse_rows(~is_class, "labels", labels, expected=f"the number of a class, 0 to {num_classes - 1}")
        label, told, nats = labels.astype(np.int64), logits.argmax(axis=1), nats_of(logits, labels)
        weight = np.ones(len(label)) if weights is None else weights.astype(np.float64)
        counted = None if weights is None else weight
        is_hit = (label == told).astype(np.int64)
        confused = num_classes if num_classes <= MAX_CONFUSED else 0
        pairs = np.bincount(label * confused + told, counted, confused**2) if confused else np.zeros(0)
        powers = [weight**2 * nats**power for power in range(3)]
        return cls(
            rows=len(label),
            mass=np.bincount(label, counted, num_classes),
            told=np.bincount(told, counted, num_classes),
            hits=np.bincount(label, is_hit * (1 if counted is None else counted), num_classes),
            confusion=pairs.reshape(confused, confused),
            nats=np.bincount(label, weight * nats, num_classes).astype(np.float64),
            squares=np.stack([np.bincount(label, one, num_classes) for one in powers], axis=1).astype(np.float64),
        )

    def __add__(self, other: Self) -> Self:
        if not len(self.nats) or not len(other.nats):
            return other if len(other.nats) else self
        assert len(self.nats) == len(other.nats), "both are of the same classes"
        return type(self)(
            self.rows + other.rows,
            *(getattr(self, name) + getattr(other, name) for name in _ARRAYS),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "objective": np.asarray(self.objective),
            "rows": np.asarray(self.rows),
            **{name: getattr(self, name) for name in _ARRAYS},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(int(arrays["rows"]), *(arrays[name] for name in _ARRAYS))

    def metrics(self) -> Metrics:
        total = float(self.mass.sum())
        if total == 0:
            return Metrics(rows=self.rows, objective=self.objective)
        log_loss, entropy = float(self.nats.sum()) / total, entropy_of(self.mass)
        return Metrics(
            rows=self.rows,
            log_loss=log_loss,
            ne=log_loss / entropy if entropy > 0 else None,
            accuracy=float(self.hits.sum()) / total,
            macro_f1=macro_f1(self.mass, self.told, self.hits),
            objective=self.objective,
        )

    def estimates(self) -> dict[str, Estimate]:
        """Metric -> its value and standard error, rows taken as drawn one by one; empty for one class."""
        metrics, total = self.metrics(), self.mass.sum()
        if metrics.ne is None or metrics.log_loss is None or metrics.accuracy is None:
            return {}
        spread = float(self.squares[:, 0].sum()) / total**2
        return {
            "log_loss": (metrics.log_loss, self._error(np.full(len(self.nats), metrics.log_loss))),
            "ne": self._ne_less(np.zeros(len(self.nats))),
            "accuracy": (metrics.accuracy, float((metrics.accuracy * (1 - metrics.accuracy) * spread) ** 0.5)),
        }

    def against(self, shares: Constant) -> Estimate | None:
        """NE minus that of telling these shares, one a class, for every row. None: it is undefined, or has no end."""
        assert isinstance(shares, tuple)
        told = np.asarray(shares)
        if entropy_of(self.mass) == 0 or (told[self.mass > 0] <= 0).any():
            return None
        return self._ne_less(-np.log(np.where(told > 0, told, 1.0)))

    def _ne_less(self, constant_nats: Floats) -> Estimate:
        """The mean of nats less `constant_nats` [C], over the entropy: both are means over the rows."""
        share, entropy = self.mass / self.mass.sum(), entropy_of(self.mass)
        difference = float(self.nats.sum() / self.mass.sum() - (share * constant_nats).sum())
        own_nats = -np.log(np.where(share > 0, share, 1.0))
        expected = constant_nats + difference + difference / entropy * (own_nats - entropy)
        return difference / entropy, self._error(expected) / entropy

    def _error(self, expected: Floats) -> float:
        """Standard error of the mean of nats less those that are `expected` of a row's class [C]."""
        ones, nats, squared = self.squares.T
        return float(max(0.0, (squared - 2 * expected * nats + expected**2 * ones).sum()) ** 0.5 / self.mass.sum())


_ARRAYS = ("mass", "told", "hits", "confusion", "nats", "squares")  # in the order of the fields


def macro_f1(mass: NDArray[Any], told: NDArray[Any], hits: NDArray[Any]) -> float:
    """Over the classes that a row has or was told to have; [C] each."""
    either = mass + told
    return float(np.mean(2 * hits[either > 0] / either[either > 0]))


def nats_of(logits: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """[n] cross-entropy of each row: logits [n, C], labels the number of a class."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    own: Floats = z[np.arange(len(z)), labels.astype(np.int64)]
    nats: Floats = np.log(np.exp(z).sum(axis=1)) - own
    return nats


def entropy_of(mass: NDArray[Any]) -> float:
    """Of a label that is class c with a chance in proportion to `mass[c]`, [..., C]: nats a row; 0 for one class."""
    share = mass[mass > 0] / mass.sum()
    return float(-(share * np.log(share)).sum())
