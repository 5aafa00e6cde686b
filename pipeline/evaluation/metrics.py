"""How well logits tell clicks from non-clicks: their histograms, and the metrics read from them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log, log1p
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.row_sums import Metrics, RowSums, check_columns, refuse_rows
from pipeline.evaluation.tally import Counts, Floats, Tallies, Tally, in_equal_bins, in_order, joined
from schemas.features import Objective

BIN_BITS = 14
NUM_BINS = 1 << BIN_BITS
MAX_LOGIT = 16.0
BINS_PER_LOGIT = NUM_BINS / (2 * MAX_LOGIT)
VALIDATION = "validation_"  # before a metric's name: over the validation rows, and not the held-out ones

MAX_RANKED = 1 << 21  # different logits, 24 bytes each


@dataclass(frozen=True, eq=False)
class Sums(RowSums):
    """Of rows whose labels are 0 or 1.

    Up to MAX_RANKED different logits are counted each, and rank the rows exactly. Of more, histograms do, [NUM_BINS]
    over logits clamped to [-16, 16]; bins are 1/512 wide and a row's bin depends on its logit alone. Rows summed with
    `groups` cost 24 bytes more for each (group, bin) seen: nearly that much a row, for a user seldom gets the same
    score twice. 100 million rows are 2.4 GB, shared out over the ranks until they are gathered.
    """

    objective: ClassVar[Objective] = "binary"
    rows: int
    log_loss: float  # sum of nats, exact from the logits
    positives: Counts
    negatives: Counts
    p: Floats  # sum of p in each bin, exact from the logits
    groups: Tallies = ()  # by key = group << BIN_BITS | bin
    logits: Tallies | None = ()  # by logit; None: there are more than MAX_RANKED
    weight_squares: Floats = field(default_factory=lambda: np.zeros(2))
    """Sum of the squared weights of negatives and of positives, their numbers where rows count one each."""

    @classmethod
    def zero(cls) -> Self:
        empty = np.zeros(NUM_BINS, np.int64)
        return cls(rows=0, log_loss=0.0, positives=empty, negatives=empty, p=np.zeros(NUM_BINS))

    @classmethod
    def of(
        cls,
        logits: NDArray[Any],
        labels: NDArray[Any],
        weights: NDArray[Any] | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Sum the rows of a batch; all arrays [B], labels 0 or 1.

        A group, usually the user, is known by the low 50 bits of its integer `groups`, so pass hashes or small ids.
        Rows summed without groups count in every metric but GAUC.
        Raises ValueError for lengths that differ, logits that are not finite, other labels, weights below 0.
        """
        _check(logits, labels, weights, groups)
        logits, positive = logits.astype(np.float64), labels.astype(np.int64)
        weights = None if weights is None else weights.astype(np.float64)
        weight: Counts = np.ones_like(positive) if weights is None else weights

        decay = np.exp(-np.abs(logits))  # in (0, 1], so that neither p nor log(1 + e^z) overflows
        p = np.where(logits >= 0, 1.0, decay) / (1.0 + decay)
        nats = np.maximum(np.where(positive == 1, -logits, logits), 0.0) + np.log1p(decay)

        bins = np.clip((logits + MAX_LOGIT) * BINS_PER_LOGIT, 0, NUM_BINS - 1).astype(np.int64)
        histograms = np.bincount(bins + NUM_BINS * positive, weights, minlength=2 * NUM_BINS)
        counts = positive * weight, (1 - positive) * weight
        of_groups: Tallies = ()
        if groups is not None and groups.size:
            of_groups = (Tally.of((groups.astype(np.int64) << BIN_BITS) | bins, *counts),)
        return cls(
            rows=len(logits),
            log_loss=float((weight * nats).sum()),
            positives=histograms[NUM_BINS:],
            negatives=histograms[:NUM_BINS],
            p=np.bincount(bins, weight * p, NUM_BINS).astype(np.float64),
            groups=of_groups,
            logits=_ranked((Tally.of(in_order(logits), *counts),)),
            weight_squares=np.bincount(positive, weight**2, 2).astype(np.float64),
        )

    def __add__(self, other: Self) -> Self:
        """Exact for counts, to rounding for float sums."""
        either = None if self.logits is None or other.logits is None else self.logits + other.logits
        return dataclasses.replace(
            self,
            rows=self.rows + other.rows,
            log_loss=self.log_loss + other.log_loss,
            positives=self.positives + other.positives,
            negatives=self.negatives + other.negatives,
            p=self.p + other.p,
            groups=joined(self.groups + other.groups),
            logits=None if either is None else _ranked(joined(either)),
            weight_squares=self.weight_squares + other.weight_squares,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays to gather or store. Their floats keep the rounding of the order the rows were added in."""
        groups, logits = Tally.merged(self.groups), Tally.merged(self.logits or ())
        return {
            "rows": np.asarray(self.rows),
            "log_loss": np.asarray(self.log_loss),
            "positives": self.positives,
            "negatives": self.negatives,
            "p": self.p,
            "group_keys": groups.keys,
            "group_positives": groups.positives,
            "group_negatives": groups.negatives,
            "is_ranked": np.asarray(self.logits is not None),
            "logit_keys": logits.keys,
            "logit_positives": logits.positives,
            "logit_negatives": logits.negatives,
            "weight_squares": self.weight_squares,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        groups, logits = (
            Tally(*(arrays[f"{of}_{part}"] for part in ("keys", "positives", "negatives"))) for of in ("group", "logit")
        )
        return cls(
            rows=int(arrays["rows"]),
            log_loss=float(arrays["log_loss"]),
            positives=arrays["positives"],
            negatives=arrays["negatives"],
            p=arrays["p"],
            groups=(groups,) if len(groups.keys) else (),
            logits=((logits,) if len(logits.keys) else ()) if arrays["is_ranked"] else None,
            weight_squares=arrays.get(
                "weight_squares", np.array([arrays["negatives"].sum(), arrays["positives"].sum()])
            ),
        )

    def metrics(self) -> Metrics:
        P, N = float(self.positives.sum()), float(self.negatives.sum())
        if P + N == 0:
            return Metrics(rows=self.rows, positives=P)
        both = P > 0 and N > 0
        log_loss = self.log_loss / (P + N)
        ranking = self.ranking()
        recall, precision = _precision_recall(ranking)
        mean_p, mean_label, mass = self.calibration_curve()
        groups = Tally.merged(self.groups)
        return Metrics(
            rows=self.rows,
            positives=P,
            auc=ranking.auc(),
            auc_error=self._auc_error(P, N) if both else None,
            log_loss=log_loss,
            ne=log_loss / entropy(P / (P + N)) if both else None,
            calibration=float(self.p.sum()) / P if P > 0 else None,
            ece=float(np.average(np.abs(mean_p - mean_label), weights=mass)),
            pr_auc=float(np.diff(recall, prepend=0.0) @ precision) if P > 0 else None,
            gauc=groups.mean_auc_of_runs(groups.keys >> BIN_BITS),
            base_rate=P / (P + N),
        )

    def ranking(self) -> Tally:
        """The rows from the lowest logit up, as finely as they are known."""
        return self._bins() if self.logits is None else Tally.merged(self.logits)

    def _bins(self) -> Tally:
        return Tally(np.arange(len(self.positives)), self.positives, self.negatives)

    def _auc_error(self, P: float, N: float) -> float:
        return 0.0 if self.logits is not None else 0.5 * float((self.positives / P) @ (self.negatives / N))

    def roc_curve(self) -> tuple[Floats, Floats]:
        """False and true positive rate from (0, 0) to (1, 1), one point a bin with rows; empty for one class."""
        positives, negatives = _at_or_above_each(self._bins())
        if not self.positives.any() or not self.negatives.any():
            return np.empty(0), np.empty(0)
        return np.insert(negatives / negatives[-1], 0, 0.0), np.insert(positives / positives[-1], 0, 0.0)

    def precision_recall_curve(self) -> tuple[Floats, Floats]:
        """Recall, rising to 1, and precision there, one point a bin with rows; empty without positives."""
        return _precision_recall(self._bins())

    def calibration_curve(self, num_bins: int = 20) -> tuple[Floats, Floats, Floats]:
        """Mean p, mean label and mass (rows, or their weight) of bins of about equal mass, by rising p."""
        mean_p, mean_label, mass = in_equal_bins(self.positives + self.negatives, num_bins, self.p, self.positives)
        return mean_p, mean_label, mass


def entropy(rate: float) -> float:
    """Of a label that is 1 with this rate, between 0 and 1: nats a row."""
    return -rate * log(rate) - (1 - rate) * log1p(-rate)


def _ranked(tallies: Tallies) -> Tallies | None:
    return tallies if sum(len(one.keys) for one in tallies) <= MAX_RANKED else None


def _precision_recall(ranking: Tally) -> tuple[Floats, Floats]:
    positives, negatives = _at_or_above_each(ranking)
    if not ranking.positives.any():
        return np.empty(0), np.empty(0)
    return positives / positives[-1], positives / (positives + negatives)


def _at_or_above_each(ranking: Tally) -> tuple[Counts, Counts]:
    """Positives and negatives a threshold at each key with rows lets through, from the highest down."""
    filled = (ranking.positives + ranking.negatives) > 0
    return np.cumsum(ranking.positives[filled][::-1]), np.cumsum(ranking.negatives[filled][::-1])


def _check(
    logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, groups: NDArray[Any] | None
) -> None:
    if logits.ndim != 1:
        raise ValueError(f"expected one-dimensional columns, found logits of shape {logits.shape}")
    check_columns(logits, labels=labels, weights=weights, groups=groups)
    refuse_rows((labels != 0) & (labels != 1), "labels", labels, expected="0 or 1")
    if groups is not None and groups.dtype.kind not in "iu":
        raise ValueError(f"groups: expected integers, such as hashes of the user, found {groups.dtype}")
