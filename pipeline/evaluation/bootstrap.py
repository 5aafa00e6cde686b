"""Is one model better than another on the same held-out rows, or was it luck? Differences with their intervals.

Rows are drawn again with replacement, both models are scored on the same draw, and the spread of the differences over
many draws is what other held-out rows would have shown (Efron 1979). Drawn in pairs, the noise that both models share
cancels, so a difference far smaller than either model's own error can be clear.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.objectives import sums_of
from pipeline.evaluation.redrawn import Figures, redrawn_by
from schemas.features import Objective

MAX_GROUPS = 100_000


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How often rows are drawn, by which seed, and what share of the draws an interval holds.

    Raises ValueError for no replicates and for a confidence that is not between 0 and 1.
    """

    num_replicates: int = 200
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.num_replicates < 1 or not 0 < self.confidence < 1:
            raise ValueError(
                f"expected num_replicates of 1 or more and confidence between 0 and 1, found "
                f"{self.num_replicates}, {self.confidence}"
            )


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference and the bounds that hold it with the confidence asked for."""

    estimate: float  # of all rows as they are; skewed draws can leave it outside the bounds
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """The interval excludes 0: the models differ, and the estimate's sign says which is better."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model minus base, so that a better model is below 0 in losses and NE and above 0 in AUC, accuracy and F1.

    None where the objective has no such figure; all of them where the rows hold one class only, or equal numbers.
    """

    log_loss: Interval | None = None  # nats a row
    ne: Interval | None = None
    auc: Interval | None = None
    accuracy: Interval | None = None
    macro_f1: Interval | None = None
    rmse: Interval | None = None  # in the label's unit
    mae: Interval | None = None  # in the label's unit


def compare(
    logits: NDArray[Any],
    base_logits: NDArray[Any],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
    draws: Bootstrap = Bootstrap(),
    objective: Objective = "binary",
) -> Comparison:
    """Percentile intervals of the model's metrics minus the base's, from a paired Poisson bootstrap.

    All arrays [n]; logits of classes [n, C]. Each replicate takes each row Poisson(1) times, which for many rows is
    drawing n with replacement (Hanley and MacGibbon 2006; Chamandy et al. 2012), and divides its loss for NE by that of
    its own best constant. Its AUC is exact up to MAX_RANKS different logits; of more, it ties those that are next to
    each other. Weights count as repeated rows in the metrics, but a row is still drawn or left as one.

    More than MAX_GROUPS rows are drawn in groups of as many consecutive ones. The store's rows are shuffled within
    their day, so a group is itself a random sample and the spread of sums over groups is that of sums over rows;
    rows that come in an order, such as by user or by day, make the intervals wider, not falsely narrow.

    A replicate in which a figure is undefined, as NE and AUC are of one class, is left out of that figure's, which
    matters below some ten clicks. Costs O(n num_replicates) time and some 100 bytes a row.
    Raises ValueError for what the objective's sums refuse, such as lengths that differ.
    """
    observed = [sums_of(objective).of(z, labels, weights).metrics() for z in (logits, base_logits)]
    if observed[0].ne is None:
        return Comparison()
    group_rows = -(-len(labels) // MAX_GROUPS)
    model, base = (redrawn_by(objective, z, labels, weights, group_rows) for z in (logits, base_logits))
    times = _times(len(labels), group_rows, weights, draws)
    replicates = [(model.figures(*one), base.figures(*one)) for one in times]
    own, its = (one.as_dict() for one in observed)
    found = {
        field.name: _interval(field.name, own[field.name] - its[field.name], replicates, draws.confidence)
        for field in fields(Comparison)
        if field.name in own
    }
    return Comparison(**found)


def _times(
    num_rows: int, group_rows: int, weights: NDArray[Any] | None, draws: Bootstrap
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Of each draw, how often it takes each group, [G], and the weights that its rows then have, [n]."""
    random = np.random.default_rng(draws.seed)
    for _ in range(draws.num_replicates):
        times_G = random.poisson(1.0, -(-num_rows // group_rows))
        times = np.repeat(times_G, group_rows)[:num_rows]
        yield times_G, times.astype(np.float64) if weights is None else times * weights


def _interval(
    name: str, estimate: float, replicates: Sequence[tuple[Figures, Figures]], confidence: float
) -> Interval | None:
    differences = [model[name] - base[name] for model, base in replicates if name in model]
    if not differences:
        return None
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(low), float(high))
