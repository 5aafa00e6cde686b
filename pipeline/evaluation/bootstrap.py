"""Is one model better than another on the same held-out rows, or was it luck? Differences with their intervals.

Rows are drawn again with replacement, both models are scored on the same draw, and the spread of the differences over
many draws is what other held-out rows would have shown (Efron 1979). Drawn in pairs, the noise that both models share
cancels, so a difference far smaller than either model's own error can be clear.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Sums, entropy
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.tally import Floats, auc_of

MAX_GROUPS = 100_000
MAX_RANKS = 1 << 14  # counting by them stays in the cache


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
    """Model minus base, so that a better model is below 0 in log loss and NE and above 0 in AUC.

    None, all three, where the rows hold one class only.
    """

    log_loss: Interval | None  # nats a row
    ne: Interval | None
    auc: Interval | None


class _Figures(NamedTuple):
    """None, both: of one class."""

    log_loss: float
    ne: float | None
    auc: float | None


@dataclass(frozen=True, eq=False)
class _Scores:
    """One model's n rows in G groups, ranked once for all draws."""

    ranks: NDArray[np.int64]  # [n] of its logit, among num_ranks of its label; those of the positives come second
    num_ranks: int
    nats: Floats  # [G] log loss of each group, weighted where the rows are

    @classmethod
    def of(cls, logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, group_rows: int) -> Self:
        logits, positive = logits.astype(np.float64), labels.astype(np.int64)
        different, ranks = np.unique(logits, return_inverse=True)
        num_ranks = min(MAX_RANKS, len(different))
        nats = np.logaddexp(0.0, np.where(positive == 1, -logits, logits))
        if weights is not None:
            nats *= weights
        ranks = ranks * num_ranks // len(different)
        return cls(ranks + num_ranks * positive, num_ranks, np.add.reduceat(nats, np.arange(0, len(nats), group_rows)))

    def figures(self, times_G: NDArray[np.int64], weights: NDArray[Any]) -> _Figures:
        """Of the draw that takes group g `times_G[g]` times: the weights of its rows are `weights` [n]."""
        counts = np.bincount(self.ranks, weights, 2 * self.num_ranks)
        negatives, positives = counts[: self.num_ranks], counts[self.num_ranks :]
        P, rows = float(positives.sum()), float(counts.sum())
        log_loss = float((times_G * self.nats).sum()) / max(
            rows, 1e-300
        )  # not @, whose threads cost more than they save
        auc = auc_of(positives, negatives)
        return _Figures(log_loss, None if auc is None else log_loss / entropy(P / rows), auc)


def compare(
    logits: NDArray[Any],
    base_logits: NDArray[Any],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
    draws: Bootstrap = Bootstrap(),
) -> Comparison:
    """Percentile intervals of the model's metrics minus the base's, from a paired Poisson bootstrap; all arrays [n].

    Each replicate takes each row Poisson(1) times, which for many rows is drawing n with replacement (Hanley and
    MacGibbon 2006; Chamandy et al. 2012), and divides its log loss by its own entropy for NE. Its AUC is exact up to
    MAX_RANKS different logits; of more, it ties those that are next to each other. Weights count as repeated rows in
    the metrics, but a row is still drawn or left as one.

    More than MAX_GROUPS rows are drawn in groups of as many consecutive ones. The store's rows are shuffled within
    their day, so a group is itself a random sample and the spread of sums over groups is that of sums over rows;
    rows that come in an order, such as by user or by day, make the intervals wider, not falsely narrow.

    A replicate without both classes says nothing of NE and AUC and is left out of theirs, which matters below some ten
    clicks. Costs O(n num_replicates) time and some 100 bytes a row.
    Raises ValueError for what `Sums.of` refuses, such as lengths that differ.
    """
    observed = [Sums.of(z, labels, weights).metrics() for z in (logits, base_logits)]
    if observed[0].ne is None:
        return Comparison(None, None, None)
    num_rows = len(labels)
    group_rows = -(-num_rows // MAX_GROUPS)
    model, base = (_Scores.of(z, labels, weights, group_rows) for z in (logits, base_logits))
    random = np.random.default_rng(draws.seed)
    replicates = []
    for _ in range(draws.num_replicates):
        times_G = random.poisson(1.0, len(model.nats))
        times = np.repeat(times_G, group_rows)[:num_rows]
        drawn = times.astype(np.float64) if weights is None else times * weights
        replicates.append((model.figures(times_G, drawn), base.figures(times_G, drawn)))

    def interval(name: str) -> Interval | None:
        estimate = _difference(name, *observed)
        differences = [d for pair in replicates if (d := _difference(name, *pair)) is not None]
        if estimate is None or not differences:
            return None
        low, high = np.quantile(differences, [(1 - draws.confidence) / 2, (1 + draws.confidence) / 2])
        return Interval(estimate, float(low), float(high))

    return Comparison(log_loss=interval("log_loss"), ne=interval("ne"), auc=interval("auc"))


def _difference(name: str, model: Metrics | _Figures, base: Metrics | _Figures) -> float | None:
    ours, theirs = getattr(model, name), getattr(base, name)
    return None if ours is None else float(ours - theirs)
