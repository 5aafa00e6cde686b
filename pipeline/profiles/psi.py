"""How far a field's values have shifted against the days before, and how far they usually do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from pipeline.profiles.profile import FieldProfile, coarsen
from pipeline.profiles.tallies import MAX_COUNTS

MIN_SHARE = 1e-4  # of a bin in the PSI, whose logarithm an empty one has not
MIN_DAYS = 3  # that say what is usual
MIN_SPREAD = 0.1  # of the mean: that a few days were alike by chance makes the next one no exception


@dataclass(frozen=True, slots=True)
class Usual:
    """A figure as the days before had it: their mean, and their standard deviation, at least MIN_SPREAD of it."""

    mean: float
    spread: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Usual | None":
        """None of fewer than MIN_DAYS."""
        if len(figures) < MIN_DAYS:
            return None
        return cls(mean(figures), max(stdev(figures), MIN_SPREAD * mean(figures)))


def psi(now: np.ndarray, before: np.ndarray) -> float:
    """Population stability index: sum over bins of (p - q) ln(p / q), p and q the bins' shares now and before.

    Siddiqi, Credit Risk Scorecards (2006), system stability report; by custom below 0.1 is no shift, above 0.25 is one.
    A share below MIN_SHARE counts as that much. [bins], [bins] counts, neither of them all 0. For n rows now and m
    before of the same distribution it is (bins - 1)(1 / n + 1 / m) on average: small logs shift by chance.
    """
    p = np.maximum(now / now.sum(), MIN_SHARE)
    q = np.maximum(before / before.sum(), MIN_SHARE)
    return float(((p - q) * np.log(p / q)).sum())


def field_psi(now: FieldProfile, before: Sequence[FieldProfile]) -> float | None:
    """PSI of a field's values against those of several days together; None where either has none.

    The bins are the commonest MAX_COUNTS values of the days before; the values that only the day itself has among its
    commonest, in one; and all others, in one. Of numbers, they are the bins that all the days share.
    """
    before = [field for field in before if field.num_values]
    if not before or not now.num_values:
        return None
    kept = [_shared_counts(field, [now, *before]) for field in (now, *before)]
    commonest: Counter[str] = Counter()
    for counts in kept[1:]:
        commonest.update(counts)
    own = [value for value in kept[0] if value not in commonest]
    bins = list(commonest) if now.number_bits is not None else [value for value, _ in commonest.most_common(MAX_COUNTS)]
    in_bins = [
        _in_bins(counts, field.num_values, bins, own) for counts, field in zip(kept, (now, *before), strict=True)
    ]
    return psi(in_bins[0], np.sum(in_bins[1:], axis=0))


def _shared_counts(field: FieldProfile, fields: Sequence[FieldProfile]) -> dict[str, int]:
    bits = [other.number_bits for other in fields if other.number_bits is not None]
    return coarsen(field.counts, min(bits)) if bits else field.counts


def _in_bins(counts: Mapping[str, int], num_values: int, bins: Sequence[str], own: Sequence[str]) -> np.ndarray:
    """Counts of the bins, of the `own` values of the day in question together, and of all other values.

    A value that a day does not keep occurs at most as often as the rarest that it keeps, and is taken to: not to know a
    count makes no shift.
    """
    others = num_values - sum(counts.values())
    num_absent = sum(value not in counts for value in (*bins, *own))
    at_most = min(min(counts.values()), others / max(1, num_absent))
    in_bins = [float(counts.get(value, at_most)) for value in bins]
    in_own = sum(counts.get(value, at_most) for value in own)
    return np.array([*in_bins, in_own, max(0.0, num_values - sum(in_bins) - in_own)])
