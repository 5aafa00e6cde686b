"""Several days' profiles as the one of their rows together: for logs whose days are too small to be told apart."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.profiles.profile import DayProfile, FieldProfile, coarsen, histogram, quantiles
from pipeline.profiles.tallies import MAX_COUNTS
from pipeline.runtime import fingerprint


def pools(days: Sequence[DayProfile], size: int) -> list[DayProfile]:
    """The days, oldest first, in pools of so many, the last one ending with the last day; what is left over is not."""
    first = len(days) % size
    return [pooled(days[start : start + size]) for start in range(first, len(days), size)]


def pooled(days: Sequence[DayProfile]) -> DayProfile:
    """Of one day, its own. Rows, clicks, nulls and unseen shares are exact; of values, what the days have kept is."""
    if len(days) == 1:
        return days[0]
    reasons: Counter[str] = Counter()
    for day in days:
        reasons.update(day.bad_by_reason)
    last = days[-1]
    return last.model_copy(
        update={
            "first_day": days[0].first_day or days[0].day,
            "num_days": sum(day.num_days for day in days),
            "log_fingerprint": fingerprint.digest(*(day.log_fingerprint for day in days)),
            "rows": sum(day.rows for day in days),
            "positives": None if last.positives is None else sum(day.positives or 0 for day in days),
            "bad_rows": sum(day.bad_rows for day in days),
            "bad_by_reason": dict(reasons),
            "fields": {name: _together([(day.rows, day.fields[name]) for day in days]) for name in last.fields},
            "unknown_columns": tuple(dict.fromkeys(name for day in days for name in day.unknown_columns)),
        }
    )


def _together(of_days: Sequence[tuple[int, FieldProfile]]) -> FieldProfile:
    fields, num_rows = [field for _, field in of_days], sum(rows for rows, _ in of_days)
    num_values = sum(field.num_values for field in fields)
    unseen = [field.num_values * field.unseen_share for field in fields if field.unseen_share is not None]
    bits = min((field.number_bits for field in fields if field.number_bits is not None), default=None)
    counts: Counter[str] = Counter()
    for field in fields:
        counts.update(field.counts if bits is None else coarsen(field.counts, bits))
    are_all_kept = all(field.num_distinct <= len(field.counts) for field in fields) and bits is None
    found = FieldProfile(
        null_share=sum(rows * field.null_share for rows, field in of_days) / max(1, num_rows),
        num_values=num_values,
        num_distinct=len(counts) if are_all_kept else max(len(counts), *(field.num_distinct for field in fields)),
        unseen_share=sum(unseen) / max(1, num_values) if len(unseen) == len(fields) else None,
        counts=dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MAX_COUNTS]),
        number_bits=bits,
    )
    return found if bits is None else _of_numbers(found, counts, bits)


def _of_numbers(found: FieldProfile, counts: Counter[str], bits: int) -> FieldProfile:
    """All numbers are counted, in as many bins as a day may have."""
    values, numbers = np.array([float(number) for number in counts]), np.array(list(counts.values()))
    fewer = min(bits, histogram(values, numbers)[1])
    update = {"counts": coarsen(counts, fewer), "number_bits": fewer, "quantiles": quantiles(values, numbers)}
    return found.model_copy(update=update)
