"""How well the held-out rows tell a model's figures: intervals in closed form, from the sums alone.

Each figure is a smooth function of means over rows, so that its error is that of the mean of its influence of a row;
AUC's is the one of DeLong et al. (1988). Rows are taken as drawn one by one. What is asked for by hand, by day or
after every stage, costs no draws; tests hold it against the bootstrap's.
"""

from collections.abc import Mapping
from math import log
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.metrics import Sums, entropy
from pipeline.evaluation.number_sums import NumberSums
from pipeline.evaluation.row_sums import Constant, RowSums
from pipeline.evaluation.tally import Counts, Floats, values_of

Bounds = tuple[float, float]
CONFIDENCE = 0.95
TOLD = (
    ("ne", "NE", ".4f"),
    ("auc", "AUC", ".4f"),
    ("calibration", "calibration", ".3f"),
    ("accuracy", "accuracy", ".4f"),
    ("rmse", "RMSE", ".5g"),
    ("mae", "MAE", ".5g"),
)
FEW_CLICKS = 1_000  # below them a figure's third decimal is chance, which is said in a sentence


class _Rows(NamedTuple):
    """Rows counted by logit, from the lowest up; arrays [M]. `clicks` and `others` are weights where rows carry any."""

    clicks: Counts
    others: Counts
    p: Floats
    nats_of_clicks: Floats
    nats_of_others: Floats
    spread_of_clicks: float
    """Sum of squared weights over the square of all weight: 1 / n for n clicks of one weight."""
    spread_of_others: float

    @classmethod
    def of(cls, sums: Sums) -> "_Rows":
        ranking = sums.ranking()
        clicks, others = ranking.positives, ranking.negatives
        if sums.logits is None:
            mass = clicks + others
            p = np.clip(np.divide(sums.p, mass, out=np.full(len(mass), 0.5), where=mass > 0), 1e-12, 1 - 1e-12)
            logits = np.log(p) - np.log1p(-p)
        else:
            logits = values_of(ranking.keys)
        nats_of_others = np.logaddexp(0.0, logits)
        squares, totals = sums.weight_squares, np.array([others.sum(), clicks.sum()], np.float64)
        spread_of_others, spread_of_clicks = squares / np.maximum(totals, 1e-300) ** 2
        return cls(
            clicks,
            others,
            np.exp(-np.logaddexp(0.0, -logits)),
            nats_of_others - logits,
            nats_of_others,
            float(spread_of_clicks),
            float(spread_of_others),
        )

    @property
    def base_rate(self) -> float:
        return float(self.clicks.sum()) / float(self.clicks.sum() + self.others.sum())

    def mean(self, of_clicks: Floats, of_others: Floats) -> float:
        return float((self.clicks * of_clicks).sum() + (self.others * of_others).sum()) / float(
            self.clicks.sum() + self.others.sum()
        )

    def error(self, of_clicks: Floats, of_others: Floats) -> float:
        """Standard error of the mean of what is of mean 0."""
        rate = self.base_rate
        squared_of_clicks = float((self.clicks * of_clicks**2).sum()) / float(self.clicks.sum())
        squared_of_others = float((self.others * of_others**2).sum()) / float(self.others.sum())
        variance = rate**2 * self.spread_of_clicks * squared_of_clicks
        variance += (1 - rate) ** 2 * self.spread_of_others * squared_of_others
        return float(variance**0.5)


def intervals(sums: RowSums, confidence: float = CONFIDENCE) -> dict[str, Bounds]:
    """Metric -> the bounds that hold it with that confidence: of clicks log loss, NE, calibration and AUC.

    Of classes log loss, NE and accuracy, of numbers NE, RMSE and MAE.
    Empty with fewer than two rows of clicks or of others, of one class and of equal numbers: nothing can be told.
    """
    if isinstance(sums, Sums):
        return _of_clicks(sums, confidence)
    assert isinstance(sums, ClassSums | NumberSums)
    z = _z(confidence)
    return {name: _around(value, z * error) for name, (value, error) in sums.estimates().items()}


def _of_clicks(sums: Sums, confidence: float) -> dict[str, Bounds]:
    rows = _rows_of(sums)
    if rows is None:
        return {}
    z, rate = _z(confidence), rows.base_rate
    nats = rows.nats_of_clicks, rows.nats_of_others
    log_loss, mean_p = rows.mean(*nats), rows.mean(rows.p, rows.p)
    calibration = mean_p / rate
    return {
        "log_loss": _around(log_loss, z * rows.error(*(one - log_loss for one in nats))),
        "ne": _around(log_loss / entropy(rate), z * rows.error(*_influence_on_ne(log_loss, rate, *nats))),
        "calibration": _around(calibration, z * rows.error((rows.p - calibration) / rate, rows.p / rate)),
        "auc": _auc(rows, z, confidence),
    }


def against(sums: RowSums, constant: Constant, confidence: float = CONFIDENCE) -> Interval | None:
    """NE of the model minus that of telling the constant of every row, in pairs on the same rows.

    None where NE is undefined, and where the constant's loss has no end.
    """
    if isinstance(sums, Sums):
        assert isinstance(constant, float), "of clicks it is a rate"
        return against_rate(sums, constant, confidence)
    assert isinstance(sums, ClassSums | NumberSums)
    found = sums.against(constant)
    if found is None:
        return None
    estimate, reach = found[0], _z(confidence) * found[1]
    return Interval(estimate, estimate - reach, estimate + reach)


def against_rate(sums: Sums, rate: float, confidence: float = CONFIDENCE) -> Interval | None:
    """NE of the model minus that of predicting `rate` for every row, in pairs on the same rows.

    None with fewer than two rows of a class, and for a rate of 0 or 1, whose log loss has no end.
    """
    rows = _rows_of(sums)
    if rows is None or not 0 < rate < 1:
        return None
    z = _z(confidence)
    differences = rows.nats_of_clicks + log(rate), rows.nats_of_others + log(1 - rate)
    mean = rows.mean(*differences)
    reach = z * rows.error(*_influence_on_ne(mean, rows.base_rate, *differences))
    estimate = mean / entropy(rows.base_rate)
    return Interval(estimate, estimate - reach, estimate + reach)


def with_bounds(value: float, bounds: Bounds | None, form: str = ".4f") -> str:
    """`0.8123 (0.801 to 0.823)`: the bounds to as many decimals as show two digits of how far they are apart."""
    if bounds is None or bounds[0] == bounds[1]:  # of what is certain, as the AUC of a constant
        return format(value, form)
    decimals = decimals_of(bounds)
    return f"{value:{form}} ({bounds[0]:.{decimals}f} to {bounds[1]:.{decimals}f})"


def in_words(figures: Mapping[str, float], bounds: Mapping[str, Bounds]) -> str:
    """NE and what else an objective is told by, with their intervals, as far as they are defined."""
    told = [(name, with_bounds(figures[key], bounds.get(key), form)) for key, name, form in TOLD if key in figures]
    return ", ".join(f"{name} {value}" for name, value in told)


def decimals_of(bounds: Bounds) -> int:
    half = (bounds[1] - bounds[0]) / 2
    return min(max(2, 1 - int(np.floor(np.log10(half)))), 6) if half > 0 else 2


def few_clicks(clicks: float | None, bounds: Mapping[str, Bounds]) -> str:
    """`43 clicks tell AUC to +-0.09 and NE to +-0.05`; empty where there are many, and where nothing can be told."""
    if clicks is None or clicks >= FEW_CLICKS or not bounds:
        return ""
    told = [f"{name} to +-{_rounded(bounds[key])}" for key, name in (("auc", "AUC"), ("ne", "NE")) if key in bounds]
    return f"{clicks:,.0f} clicks tell {' and '.join(told)}"


def _rounded(bounds: Bounds) -> str:
    half = (bounds[1] - bounds[0]) / 2
    return f"{half:.{max(2, decimals_of(bounds) - 1)}f}"


def _rows_of(sums: Sums) -> _Rows | None:
    if sums.positives.sum() <= 0 or sums.negatives.sum() <= 0:
        return None
    rows = _Rows.of(sums)
    return rows if max(rows.spread_of_clicks, rows.spread_of_others) <= 0.5 else None


def _influence_on_ne(mean: float, rate: float, of_clicks: Floats, of_others: Floats) -> tuple[Floats, Floats]:
    """Of a click and of another row on `mean / entropy(rate)`, both of which are means over the rows."""
    slope = mean * log((1 - rate) / rate) / entropy(rate)  # the entropy rises with the rate by log((1 - rate) / rate)
    return (
        (of_clicks - mean - slope * (1 - rate)) / entropy(rate),
        (of_others - mean + slope * rate) / entropy(rate),
    )


def _auc(rows: _Rows, z: float, confidence: float) -> Bounds:
    """By placements: of a click the share of the others below it, of another row that of the clicks above it.

    On the scale of log-odds, so that no bound passes 0 or 1. Where nothing overlaps, the placements don't vary: the
    bound is what would leave as many clicks, or others, apart by chance.
    """
    clicks, others = rows.clicks.astype(np.float64), rows.others.astype(np.float64)
    num_clicks, num_others = clicks.sum(), others.sum()
    below = (np.cumsum(others) - 0.5 * others) / num_others
    above = 1 - (np.cumsum(clicks) - 0.5 * clicks) / num_clicks
    auc = float((clicks * below).sum() / num_clicks)
    if not 0 < auc < 1:
        apart = ((1 - confidence) / 2) ** max(rows.spread_of_clicks, rows.spread_of_others)
        return (apart, 1.0) if auc >= 1 else (0.0, 1 - apart)
    of_clicks, of_others = rows.spread_of_clicks, rows.spread_of_others
    variance = float((clicks * (below - auc) ** 2).sum() / num_clicks) * of_clicks / (1 - of_clicks)
    variance += float((others * (above - auc) ** 2).sum() / num_others) * of_others / (1 - of_others)
    reach = z * variance**0.5 / (auc * (1 - auc))
    odds = log(auc / (1 - auc))
    low, high = (float(1 / (1 + np.exp(-bound))) for bound in (odds - reach, odds + reach))
    return low, high


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _around(value: float, reach: float) -> Bounds:
    return max(0.0, value - reach), value + reach
