"""How well logits tell clicks from non-clicks: sums that batches and ranks can add, and the metrics read from them.

`Sums.of` reads rows once and forgets them, `+` joins batches, days or ranks, `Sums.metrics` reads the total. Nothing is
averaged over batches, so how the rows were split does not show in the result.
"""

import dataclasses
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

BIN_BITS = 14
NUM_BINS = 1 << BIN_BITS
MAX_LOGIT = 16.0
BINS_PER_LOGIT = NUM_BINS / (2 * MAX_LOGIT)
VALIDATION = "validation_"  # before a metric's name: over the validation rows, and not the held-out ones

# int64 where rows count one each, float64 where they carry weights.
Counts = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """What is undefined is None, never 0: a ratio without clicks, a ranking of one class, anything of no rows."""

    rows: int
    positives: float  # sum of the labels, weighted where the rows are
    auc: float | None = None  # P(a click outscores a non-click), ties count half
    auc_error: float | None = None  # the exact AUC is within +- this: sum_b pos_b neg_b / (2 P N) over the bins b
    log_loss: float | None = None  # nats a row
    ne: float | None = None  # log loss / entropy of base_rate (He et al. 2014); 1 is what predicting base_rate gets
    calibration: float | None = None  # sum of p / sum of labels; above 1 promises too many clicks
    ece: float | None = None  # mean |p - label| over 20 bins of equal rows (Nguyen and O'Connor 2015)
    pr_auc: float | None = None  # average precision, one threshold a bin
    gauc: float | None = None  # each user's AUC, averaged by impressions, of users with both classes (Zhu et al. 2017)
    base_rate: float | None = None  # mean label

    def as_dict(self) -> dict[str, float]:
        """Name -> value of what is defined, ready to log."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class _GroupCounts:
    """Positives and negatives of each (group, bin) that occurs, sorted by key = group << BIN_BITS | bin; arrays [M]."""

    keys: NDArray[np.int64]
    positives: Counts
    negatives: Counts

    @classmethod
    def merged(cls, tables: Iterable[Self]) -> Self:
        """One table that counts each key once. The stable sort finds the runs that are sorted already: O(M) for two."""
        columns = zip(*((table.keys, table.positives, table.negatives) for table in tables), strict=True)
        keys, positives, negatives = (np.concatenate(column) for column in columns)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = _starts_of_runs(keys)
        return cls(keys[starts], np.add.reduceat(positives[order], starts), np.add.reduceat(negatives[order], starts))

    def gauc(self) -> float | None:
        starts = _starts_of_runs(self.keys >> BIN_BITS)
        entries = np.diff(starts, append=len(self.keys))
        negatives_below = np.cumsum(self.negatives) - self.negatives
        negatives_below -= np.repeat(negatives_below[starts], entries)
        pairs_won = np.add.reduceat(self.positives * (negatives_below + 0.5 * self.negatives), starts)
        positives, negatives = np.add.reduceat(self.positives, starts), np.add.reduceat(self.negatives, starts)
        both = (positives > 0) & (negatives > 0)
        if not both.any():
            return None
        auc = pairs_won[both] / (1.0 * positives[both] * negatives[both])
        return float(np.average(auc, weights=(positives + negatives)[both]))


@dataclass(frozen=True, eq=False)
class Sums:
    """Everything the metrics need of any number of scored rows, in 384 KiB and one addition to merge.

    Histograms are [NUM_BINS] over logits clamped to [-16, 16]; bins are 1/512 wide and a row's bin depends on its logit
    alone. Rows summed with `groups` cost 24 bytes more for each (group, bin) seen: nearly that much a row, for a user
    seldom gets the same score twice. 100 million rows are 2.4 GB, shared out over the ranks until they are gathered.
    """

    rows: int
    log_loss: float  # sum of nats, exact from the logits
    positives: Counts
    negatives: Counts
    p: Floats  # sum of p in each bin, exact from the logits
    groups: tuple[_GroupCounts, ...] = ()  # each has more than twice the entries of the next; see __add__

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
        rows_of_groups: tuple[_GroupCounts, ...] = ()
        if groups is not None and groups.size:
            keys = (groups.astype(np.int64) << BIN_BITS) | bins
            rows_of_groups = (_GroupCounts.merged([_GroupCounts(keys, positive * weight, (1 - positive) * weight)]),)
        return cls(
            rows=len(logits),
            log_loss=float((weight * nats).sum()),
            positives=histograms[NUM_BINS:],
            negatives=histograms[:NUM_BINS],
            p=np.bincount(bins, weight * p, NUM_BINS).astype(np.float64),
            groups=rows_of_groups,
        )

    def __add__(self, other: Self) -> Self:
        """Exact for counts, to rounding for float sums.

        Tables of groups are joined only with tables of about their size, so N batches cost O(N log N), not O(N^2).
        """
        groups: list[_GroupCounts] = []
        for table in sorted(self.groups + other.groups, key=lambda table: len(table.keys), reverse=True):
            while groups and len(groups[-1].keys) <= 2 * len(table.keys):
                table = _GroupCounts.merged([groups.pop(), table])
            groups.append(table)
        return dataclasses.replace(
            self,
            rows=self.rows + other.rows,
            log_loss=self.log_loss + other.log_loss,
            positives=self.positives + other.positives,
            negatives=self.negatives + other.negatives,
            p=self.p + other.p,
            groups=tuple(groups),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays to gather or store. Their floats keep the rounding of the order the rows were added in."""
        none = np.empty(0, np.int64)
        table = _GroupCounts.merged(self.groups) if self.groups else _GroupCounts(none, none, none)
        return {
            "rows": np.asarray(self.rows),
            "log_loss": np.asarray(self.log_loss),
            "positives": self.positives,
            "negatives": self.negatives,
            "p": self.p,
            "group_keys": table.keys,
            "group_positives": table.positives,
            "group_negatives": table.negatives,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        table = _GroupCounts(arrays["group_keys"], arrays["group_positives"], arrays["group_negatives"])
        return cls(
            rows=int(arrays["rows"]),
            log_loss=float(arrays["log_loss"]),
            positives=arrays["positives"],
            negatives=arrays["negatives"],
            p=arrays["p"],
            groups=(table,) if len(table.keys) else (),
        )

    def to_bytes(self) -> bytes:
        """The arrays as a compressed npz file."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **self.to_arrays())
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, npz: bytes) -> Self:
        with np.load(io.BytesIO(npz)) as arrays:
            return cls.from_arrays(dict(arrays))

    def metrics(self) -> Metrics:
        P, N = float(self.positives.sum()), float(self.negatives.sum())
        if P + N == 0:
            return Metrics(rows=self.rows, positives=P)
        both = P > 0 and N > 0
        log_loss = self.log_loss / (P + N)
        entropy = sum(-count / (P + N) * np.log(count / (P + N)) for count in (P, N) if count > 0)
        false_positive_rate, true_positive_rate = self.roc_curve()
        recall, precision = self.precision_recall_curve()
        mean_p, mean_label, mass = self.calibration_curve()
        return Metrics(
            rows=self.rows,
            positives=P,
            auc=float(np.trapezoid(true_positive_rate, false_positive_rate)) if both else None,
            auc_error=0.5 * float(np.diff(true_positive_rate) @ np.diff(false_positive_rate)) if both else None,
            log_loss=log_loss,
            ne=float(log_loss / entropy) if both else None,
            calibration=float(self.p.sum()) / P if P > 0 else None,
            ece=float(np.average(np.abs(mean_p - mean_label), weights=mass)),
            pr_auc=float(np.diff(recall, prepend=0.0) @ precision) if P > 0 else None,
            gauc=_GroupCounts.merged(self.groups).gauc() if self.groups else None,
            base_rate=P / (P + N),
        )

    def roc_curve(self) -> tuple[Floats, Floats]:
        """False and true positive rate from (0, 0) to (1, 1), one point a bin with rows; empty for one class."""
        positives, negatives = self._at_or_above_each_bin()
        if not self.positives.any() or not self.negatives.any():
            return np.empty(0), np.empty(0)
        return np.insert(negatives / negatives[-1], 0, 0.0), np.insert(positives / positives[-1], 0, 0.0)

    def precision_recall_curve(self) -> tuple[Floats, Floats]:
        """Recall, rising to 1, and precision there, one point a bin with rows; empty without positives."""
        positives, negatives = self._at_or_above_each_bin()
        if not self.positives.any():
            return np.empty(0), np.empty(0)
        return positives / positives[-1], positives / (positives + negatives)

    def calibration_curve(self, num_bins: int = 20) -> tuple[Floats, Floats, Floats]:
        """Mean p, mean label and mass (rows, or their weight) of bins of about equal mass, by rising p.

        A histogram bin falls whole into the one that holds its middle row, so ties can make the bins fewer.
        """
        mass = self.positives + self.negatives
        filled = mass > 0
        p, positives, mass = self.p[filled], self.positives[filled], mass[filled]
        middle = np.cumsum(mass) - 0.5 * mass
        starts = _starts_of_runs(np.floor(middle * num_bins / mass.sum()))
        p, positives, mass = (np.add.reduceat(sums, starts) for sums in (p, positives, mass))
        return p / mass, positives / mass, mass.astype(np.float64)

    def _at_or_above_each_bin(self) -> tuple[Counts, Counts]:
        """Positives and negatives a threshold at each bin with rows lets through, from the highest logit down."""
        filled = (self.positives + self.negatives) > 0
        return np.cumsum(self.positives[filled][::-1]), np.cumsum(self.negatives[filled][::-1])


def _starts_of_runs(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where each run of equal values begins; empty for none."""
    return np.flatnonzero(np.concatenate([values[:1] == values[:1], values[1:] != values[:-1]]))


def _check(
    logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, groups: NDArray[Any] | None
) -> None:
    columns = {"logits": logits, "labels": labels, "weights": weights, "groups": groups}
    shapes = {name: column.shape for name, column in columns.items() if column is not None}
    if logits.ndim != 1 or len(set(shapes.values())) > 1:
        raise ValueError(f"expected one-dimensional columns of one length, found {shapes}")
    _refuse(~np.isfinite(logits), "logits", logits, expected="finite values")
    _refuse((labels != 0) & (labels != 1), "labels", labels, expected="0 or 1")
    if weights is not None:
        _refuse(~(np.isfinite(weights) & (weights >= 0)), "weights", weights, expected="finite values of 0 or more")
    if groups is not None and groups.dtype.kind not in "iu":
        raise ValueError(f"groups: expected integers, such as hashes of the user, found {groups.dtype}")


def _refuse(bad: NDArray[np.bool_], name: str, values: NDArray[Any], expected: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        count = f"{bad.sum():,} of {bad.size:,} rows are such"
        raise ValueError(f"{name}: expected {expected}, found {values[first]} at row {first} ({count})")
