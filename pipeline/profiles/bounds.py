"""Which bounds a day breaks, by itself and against the days before it: a pure function of their profiles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.profiles.profile import DayProfile, FieldProfile, coarsen
from schemas.night import QualityConfig

MIN_SHARE = 1e-4  # of a bin in the PSI, whose logarithm an empty one has not


@dataclass(frozen=True, slots=True)
class Breach:
    """A bound that a day breaks, in words: what of the day, what was found, what was expected."""

    day: date
    what: str
    found: str
    expected: str

    @property
    def words(self) -> str:
        return f"{self.day}: {self.what}: {self.found}; expected {self.expected}"


def breaches(profile: DayProfile, trailing: Sequence[DayProfile], config: QualityConfig) -> list[Breach]:
    """All that is amiss with a day, its rows first, then field by field; without trailing days by itself alone.

    A day of one class is always a breach: nothing can be judged on it. Against no rows before, a rate has no bound.
    """
    before = [other for other in trailing if other.rows]
    found = [*_of_rows(profile, before, config)]
    for name, field in profile.fields.items():
        rows_before = [(other.rows, other.fields[name]) for other in before if name in other.fields]
        found += _of_field(name, field, rows_before, config)
    return [Breach(profile.day, *words) for words in found]


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

    The bins are the values that any of the days keeps, and all the others together; of numbers, those that all share.
    """
    before = [field for field in before if field.num_values]
    if not before or not now.num_values:
        return None
    kept = [_shared_counts(field, [now, *before]) for field in (now, *before)]
    bins = list(dict.fromkeys(value for counts in kept for value in counts))
    in_bins = [_in_bins(counts, field.num_values, bins) for counts, field in zip(kept, (now, *before), strict=True)]
    return psi(in_bins[0], np.sum(in_bins[1:], axis=0))


def _shared_counts(field: FieldProfile, fields: Sequence[FieldProfile]) -> dict[str, int]:
    bits = [other.number_bits for other in fields if other.number_bits is not None]
    return coarsen(field.counts, min(bits)) if bits else field.counts


def _in_bins(counts: dict[str, int], num_values: int, bins: Sequence[str]) -> np.ndarray:
    """Counts of the bins, then of the values beyond them.

    A value that a day does not keep occurs at most as often as the rarest that it keeps, and is taken to: not to know a
    count makes no shift.
    """
    others = num_values - sum(counts.values())
    num_absent = len(bins) - len(counts)
    at_most = min(min(counts.values()), others / max(1, num_absent))
    in_bins = [counts.get(value, at_most) for value in bins]
    return np.array([*in_bins, max(0.0, num_values - sum(in_bins))])


Words = tuple[str, str, str]


def _of_rows(profile: DayProfile, before: Sequence[DayProfile], config: QualityConfig) -> Iterator[Words]:
    if profile.rows < config.min_rows:
        yield "rows", f"{profile.rows:,}", f"at least {config.min_rows:,}"
    rows_before = sum(other.rows for other in before)
    if before and config.rows_ratio:
        mean = rows_before / len(before)
        found = f"{profile.rows:,}, {profile.rows / mean:.3g} times the {mean:,.0f} of {_days(len(before))}"
        yield from _outside(profile.rows / mean, config.rows_ratio, "rows", found)
    if profile.positives in (0, profile.rows):
        yield (
            "label rate",
            f"{profile.positives:,} clicks in {profile.rows:,} rows",
            "both clicks and rows without a click",
        )
    elif before and config.label_rate_ratio and (positives := sum(other.positives for other in before)):
        rate = positives / rows_before
        ratio = profile.label_rate / rate
        found = f"{profile.label_rate:.4g}, {ratio:.3g} times the {rate:.4g} of {_days(len(before))}"
        yield from _outside(ratio, config.label_rate_ratio, "label rate", found)


def _of_field(
    name: str, field: FieldProfile, rows_before: Sequence[tuple[int, FieldProfile]], config: QualityConfig
) -> Iterator[Words]:
    days = _days(len(rows_before))
    unseen_share = field.unseen_share
    if config.max_unseen_share is not None and unseen_share is not None and unseen_share > config.max_unseen_share:
        yield (
            f"unseen values of {name!r}",
            f"{unseen_share:.2%} of {field.num_values:,}",
            f"at most {config.max_unseen_share:.2%} that the vocabulary lacks",
        )
    if config.max_null_increase is not None and rows_before:
        rows = sum(rows for rows, _ in rows_before)
        null_share = sum(rows * other.null_share for rows, other in rows_before) / rows
        if field.null_share - null_share > config.max_null_increase:
            yield (
                f"nulls of {name!r}",
                f"{field.null_share:.2%} of the rows, {null_share:.2%} in {days}",
                f"an increase of at most {config.max_null_increase:.2%} of the rows",
            )
    shift = field_psi(field, [other for _, other in rows_before])
    if config.max_psi is not None and shift is not None and shift > config.max_psi:
        yield f"values of {name!r}", f"PSI {shift:.3g} against {days}", f"at most {config.max_psi:g}"


def _outside(ratio: float, band: tuple[float, float], what: str, found: str) -> Iterator[Words]:
    if not band[0] <= ratio <= band[1]:
        yield what, found, f"between {band[0]:g} and {band[1]:g} times"


def _days(number: int) -> str:
    return f"{number} trailing day{'s' * (number != 1)}"
