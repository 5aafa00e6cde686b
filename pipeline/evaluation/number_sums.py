"""How far off numbers were told: squared and absolute errors, beside the spread of the labels themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import comb
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.row_sums import Constant, Estimate, Metrics, RowSums, check_columns, refuse_rows
from pipeline.evaluation.tally import Floats, in_equal_bins
from pipeline.evaluation.told import Told
from schemas.features import Objective


@dataclass(frozen=True, eq=False)
class NumberSums(RowSums):
    """Of rows whose labels are numbers. Powers are of the distance from the mean label, and move when the mean does.

    So nothing cancels, however far from 0 the labels lie (Chan, Golub and LeVeque 1983; Pebay 2008). d is a label less
    the mean, e what was told less the label.
    """

    objective: ClassVar[Objective] = "regression"
    rows: int
    weight: float  # the rows, where they count one each
    mean: float  # of the labels, weighted
    spread: float  # sum of d^2, weighted
    squared_error: float  # sum of e^2, weighted
    absolute_error: float  # sum of |e|, weighted
    labels: Floats  # [5] sums of squared weights times d^0 to d^4
    errors: Floats  # [3] sums of squared weights times e^2 d^0 to e^2 d^2
    others: Floats  # [2] sums of squared weights times |e| and e^4
    told: Told

    @classmethod
    def zero(cls) -> Self:
        return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(5), np.zeros(3), np.zeros(2), Told.none())

    @classmethod
    def of(
        cls,
        logits: NDArray[Any],
        labels: NDArray[Any],
        weights: NDArray[Any] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        if logits.ndim != 1:
            raise ValueError(f"expected a number a row, found numbers of shape {logits.shape}")
        check_columns(logits, labels=labels, weights=weights, groups=groups)
        refuse_rows(~np.isfinite(labels), "labels", labels, expected="finite numbers")
        y = labels.astype(np.float64)
        w = np.ones_like(y) if weights is None else weights.astype(np.float64)
        weight = float(w.sum())
        if weight == 0:
            return replace(cls.zero(), rows=len(y))
        mean = float(y[0] + (w * (y - y[0])).sum() / weight)  # of equal labels, that label to the last bit
        told = logits.astype(np.float64)
        d, e = y - mean, told - y
        return cls(
            rows=len(y),
            weight=weight,
            mean=mean,
            spread=float((w * d**2).sum()),
            squared_error=float((w * e**2).sum()),
            absolute_error=float((w * np.abs(e)).sum()),
            labels=_moments(w**2, d, 5),
            errors=_moments(w**2 * e**2, d, 3),
            others=np.array([(w**2 * np.abs(e)).sum(), (w**2 * e**4).sum()]),
            told=Told.of(told, y, w),
        )

    def __add__(self, other: Self) -> Self:
        weight = self.weight + other.weight
        share = other.weight / weight if weight > 0 else 0.0
        mean = self.mean + (other.mean - self.mean) * share
        return type(self)(
            rows=self.rows + other.rows,
            weight=weight,
            mean=mean,
            spread=self.spread + other.spread + self.weight * share * (other.mean - self.mean) ** 2,
            squared_error=self.squared_error + other.squared_error,
            absolute_error=self.absolute_error + other.absolute_error,
            labels=_moved(self.labels, self.mean - mean) + _moved(other.labels, other.mean - mean),
            errors=_moved(self.errors, self.mean - mean) + _moved(other.errors, other.mean - mean),
            others=self.others + other.others,
            told=Told.merged([self.told, other.told]),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        own = {name: np.asarray(getattr(self, name)) for name in _PLAIN}
        return {"objective": np.asarray(self.objective), **own, **self.told.to_arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        own = {name: arrays[name] for name in _PLAIN}
        plain: dict[str, Any] = {name: one if one.ndim else one.item() for name, one in own.items()}
        return cls(**plain, told=Told.from_arrays(arrays))

    def metrics(self) -> Metrics:
        if self.weight == 0:
            return Metrics(rows=self.rows, objective=self.objective)
        return Metrics(
            rows=self.rows,
            ne=self.squared_error / self.spread if self.spread > 0 else None,
            rmse=(self.squared_error / self.weight) ** 0.5,
            mae=self.absolute_error / self.weight,
            objective=self.objective,
        )

    def curve(self, num_bins: int = 20) -> tuple[Floats, Floats]:
        """Mean number told and mean label of bins of about equal mass, by rising numbers told."""
        told, labels, _ = in_equal_bins(self.told.mass, num_bins, self.told.told, self.told.labels)
        return told, labels

    def estimates(self) -> dict[str, Estimate]:
        """Metric -> its value and standard error, rows taken as drawn one by one; empty where all labels are equal."""
        metrics = self.metrics()
        if metrics.ne is None or metrics.rmse is None or metrics.mae is None:
            return {}
        of_square = self._error(0.0, 0.0, metrics.rmse**2)
        of_mae = self.errors[0] - 2 * metrics.mae * self.others[0] + metrics.mae**2 * self.labels[0]
        return {
            "ne": self._ne_less(0.0, 0.0, 0.0),
            "rmse": (metrics.rmse, of_square / (2 * metrics.rmse) if metrics.rmse > 0 else 0.0),
            "mae": (metrics.mae, float(max(0.0, of_mae) ** 0.5) / self.weight),
        }

    def against(self, mean: Constant) -> Estimate | None:
        """NE minus that of telling this mean for every row. None: NE is undefined."""
        assert isinstance(mean, float)
        if self.spread == 0:
            return None
        gap = self.mean - mean  # (label - mean)^2 = d^2 + 2 gap d + gap^2
        return self._ne_less(1.0, 2 * gap, gap**2)

    def _ne_less(self, a: float, b: float, c: float) -> Estimate:
        """The mean of e^2 - (a d^2 + b d + c), over the variance of the labels: both are means over the rows."""
        variance = self.spread / self.weight
        difference = self.squared_error / self.weight - a * variance - c
        ne = difference / variance
        # the influence of a row is its own difference less the mean one, less ne (d^2 - variance)
        return ne, self._error(a + ne, b, c + difference - ne * variance) / variance

    def _error(self, a: float, b: float, c: float) -> float:
        """Standard error of the mean of e^2 - (a d^2 + b d + c), which is of mean 0."""
        expected = np.array([c, b, a])
        squared = self.others[1] - 2 * expected @ self.errors + np.convolve(expected, expected) @ self.labels
        return float(max(0.0, squared) ** 0.5) / self.weight


_PLAIN = tuple(field.name for field in fields(NumberSums) if field.name != "told")


def _moments(weights: Floats, distances: Floats, number: int) -> Floats:
    """[number] sums of the weights times the distances to the power of 0, 1, ..."""
    return np.array([(weights * distances**power).sum() for power in range(number)])


def _moved(moments: Floats, by: float) -> Floats:
    """The moments of distances that are larger `by` so much."""
    return np.array(
        [sum(comb(k, j) * by ** (k - j) * moments[j] for j in range(k + 1)) for k in range(len(moments))], np.float64
    )
