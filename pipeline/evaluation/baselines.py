"""What needs no model: the click rate of the training days, told for each held-out row, and that of each group.

Of classes it is their shares, and of numbers their mean.
A model that does no better than these has learned nothing that counting would not have told.
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.intervals import against
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Constant, RowSums
from pipeline.evaluation.tally import Floats, Tally
from schemas.features import Objective

BASE_RATE = "base rate"
CONSTANTS: dict[Objective, str] = {"binary": BASE_RATE, "multiclass": "class shares", "regression": "mean"}
"""What each objective's constant of the training days is called."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The constant of the training days on the held-out rows, and a model against it."""

    constant: Constant
    ne: float
    change: Interval
    """NE, model minus constant, in pairs on the same rows."""

    @classmethod
    def of(cls, sums: RowSums, constant: Constant | None, confidence: float) -> "Baseline | None":
        """None where it is not known, where its loss has no end (a rate of 0 or 1), and where rows tell nothing."""
        change = None if constant is None else against(sums, constant, confidence)
        own = sums.metrics().ne
        if constant is None or change is None or own is None:
            return None
        ne = of_rate(sums, constant).metrics().ne if isinstance(sums, Sums) and isinstance(constant, float) else None
        return cls(constant, own - change.estimate if ne is None else ne, change)


def of_rate(sums: Sums, rate: float) -> Sums:
    """What the rate, between 0 and 1, comes to as the probability of each of the rows."""
    logit, weights = log(rate / (1 - rate)), np.array([sums.negatives.sum(), sums.positives.sum()])
    found = Sums.of(np.full(2, logit), np.array([0, 1]), weights)
    return replace(found, rows=sums.rows, weight_squares=sums.weight_squares)


def of_groups(training: Tally, rate: float, groups: NDArray[np.int64]) -> Floats:
    """Logits [B] of each row's group's own rate in training; of a group that is new, of the base rate.

    A group's few rows are put beside as many rows at the base rate as hold one click, so that ten rows without one
    don't promise that there will never be one.
    """
    prior_rows = 1 / rate
    places = np.minimum(np.searchsorted(training.keys, groups), max(0, len(training.keys) - 1))
    is_known = training.keys[places] == groups if len(training.keys) else np.zeros(len(groups), np.bool_)
    clicks = np.where(is_known, training.positives[places], 0.0) if len(training.keys) else np.zeros(len(groups))
    others = np.where(is_known, training.negatives[places], 0.0) if len(training.keys) else np.zeros(len(groups))
    return np.log(clicks + 1) - np.log(others + prior_rows - 1)
