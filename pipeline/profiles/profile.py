"""What a day's rows add up to: the DayProfile that is read off the sum of their tallies."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from pipeline.data.vocabulary import LEARNED, Vocabulary
from pipeline.profiles.tallies import (
    BAD,
    BAD_BECAUSE,
    DISTINCT,
    LEFT_OUT,
    OTHERS,
    POSITIVES,
    ROWS,
    VALUES,
    most_frequent,
)
from schemas.features import FeatureField, FeatureSpec

MAX_BINS = 50  # of a field's numbers
NUMBER_BITS = 11  # leading mantissa bits of the numbers that `vocabulary.count` counts
PERCENT = {"min": 0, "1%": 1, "25%": 25, "50%": 50, "75%": 75, "99%": 99, "max": 100}
JSON = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FieldProfile(BaseModel):
    """One field on one day.

    A multi-valued field has several values a row, all of them counted. Numbers are counted in the bins of
    `vocabulary.count`, rounded towards 0 by a relative 2^-11 at most: distinct values and quantiles are theirs.
    """

    model_config = JSON
    null_share: float  # of the rows, those without a value: null, or a list that holds none
    num_values: int
    num_distinct: int
    unseen_share: float | None = None  # of the values, those that the vocabulary lacks; None where it keeps none
    quantiles: dict[str, float] | None = None  # of numbers: keys of PERCENT, each the least bin that reaches its share
    counts: dict[str, int]  # the MAX_COUNTS most frequent values; of numbers all, in bins that share `number_bits`
    number_bits: int | None = None  # leading mantissa bits that numbers of the same bin have in common


class DayProfile(BaseModel):
    """One day of a log; rates and fields are those of its sound rows."""

    model_config = JSON
    day: date
    log_fingerprint: str  # of the day's manifest
    spec_fingerprint: str  # and of the code that counted by it
    vocabulary_fingerprint: str | None = None  # which vocabulary unseen shares are against
    rows: int
    positives: int | None  # clicks; None where the label is none
    bad_rows: int
    bad_by_reason: dict[str, int]  # a row that breaks several rules counts for each
    fields: dict[str, FieldProfile]
    unknown_columns: tuple[str, ...] = ()  # of the day's files, those that the spec does not know
    first_day: date | None = None  # of a pool of days, whose last one is `day`
    num_days: int = 1
    label: str | None = None  # the column of one that is no click: it is among the fields

    @property
    def when(self) -> str:
        return f"{self.first_day} to {self.day}" if self.first_day else str(self.day)

    @property
    def label_rate(self) -> float | None:
        """The share of clicks."""
        if self.positives is None:
            return None
        return self.positives / self.rows if self.rows else 0.0

    @property
    def bad_share(self) -> float:
        return self.bad_rows / max(1, self.rows + self.bad_rows)


def summarize(
    tallies: pa.Table, day: date, spec: FeatureSpec, log_fingerprint: str, spec_fingerprint: str
) -> DayProfile:
    """The profile of the day whose tallies, added up, these are; unseen shares are not known yet."""
    of_rows = tallies.filter(pc.is_null(tallies["field"]))
    numbers = dict(zip(of_rows["value"].to_pylist(), of_rows["count"].to_pylist(), strict=True))
    reasons = sorted(what for what in numbers if what.startswith(BAD_BECAUSE))
    fields = {}
    for field in spec.counted:
        of_field, others = (tallies.filter(pc.equal(tallies["field"], field.name + what)) for what in ("", OTHERS))
        fields[field.name] = _field_profile(of_field, others, field, numbers[ROWS])
    return DayProfile(
        day=day,
        log_fingerprint=log_fingerprint,
        spec_fingerprint=spec_fingerprint,
        rows=numbers[ROWS],
        positives=numbers.get(POSITIVES),
        label=None if spec.objective == "binary" else spec.label,
        bad_rows=numbers[BAD],
        bad_by_reason={reason.removeprefix(BAD_BECAUSE): numbers[reason] for reason in reasons},
        fields=fields,
    )


def with_unseen_shares(profile: DayProfile, values: pa.Table, spec: FeatureSpec, known: Vocabulary) -> DayProfile:
    """The profile with the share of each field's `counted_values` that the vocabulary lacks.

    None for hashes, quantile buckets and scaled numbers, which know every value, and where the vocabulary's own spec
    has the field otherwise.
    """
    fields = dict(profile.fields)
    encoders = {field.name: field.encoder.type for field in known.spec.fields}
    for field in spec.fields:
        if isinstance(field.encoder, LEARNED) and encoders.get(field.name) == field.encoder.type:
            of_field = values.filter(pc.equal(values["field"], field.name))
            share = _unseen_share(of_field, field, known)
            fields[field.name] = fields[field.name].model_copy(update={"unseen_share": share})
    return profile.model_copy(update={"fields": fields, "vocabulary_fingerprint": known.fingerprint})


def coarsen(counts: Mapping[str, int], bits: int) -> dict[str, int]:
    """Counts of numbers in the wider bins that only the leading `bits` of their float32 mantissas tell apart.

    Bins of fewer bits are unions of bins of more, so that two days share those of the smaller number of bits.
    """
    numbers = np.array([float(number) for number in counts], np.float32)
    return _binned(numbers, np.array(list(counts.values())), bits)


def _field_profile(of_field: pa.Table, others: pa.Table, field: FeatureField, num_rows: int) -> FieldProfile:
    num_missing = pc.sum(of_field.filter(pc.is_null(of_field["value"]))["count"]).as_py() or 0
    counts = of_field.filter(pc.is_valid(of_field["value"]))
    null_share = num_missing / max(1, num_rows)
    num_values = pc.sum(counts["count"]).as_py() or 0
    if field.kind == "numeric":
        values, numbers = counts["value"].cast(pa.float64()).to_numpy(), counts["count"].to_numpy()
        bins, bits = histogram(values, numbers)
        return FieldProfile(
            null_share=null_share,
            num_values=num_values,
            num_distinct=len(counts),
            quantiles=quantiles(values, numbers),
            counts=bins,
            number_bits=bits,
        )
    top = most_frequent(counts)
    left_out = {what: pc.sum(others.filter(pc.equal(others["value"], what))["count"]).as_py() or 0 for what in LEFT_OUT}
    return FieldProfile(
        null_share=null_share,
        num_values=num_values + left_out[VALUES],
        num_distinct=len(counts) + left_out[DISTINCT],
        counts=dict(zip(top["value"].to_pylist(), top["count"].to_pylist(), strict=True)),
    )


def histogram(values: np.ndarray, numbers: np.ndarray) -> tuple[dict[str, int], int]:
    """(counts, bits) in the narrowest bins that are at most MAX_BINS; whole powers of 2 are counted if more, too."""
    rounded = values.astype(np.float32)
    fitting = (bits for bits in range(NUMBER_BITS, 0, -1) if len(np.unique(_leading_bits(rounded, bits))) <= MAX_BINS)
    bits = next(fitting, 0)
    return _binned(rounded, numbers, bits), bits


def _binned(values: np.ndarray, numbers: np.ndarray, bits: int) -> dict[str, int]:
    """Float32 values and how often each occurs -> counts of their bins, by the end of the bin that is nearer to 0."""
    bins, place = np.unique(_leading_bits(values, bits), return_inverse=True)
    sums = np.bincount(place, weights=numbers, minlength=len(bins))
    return {repr(float(end)): int(number) for end, number in zip(bins, sums, strict=True)}


def _leading_bits(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Float32 with the other bits of the mantissa, of 23, cleared; -0 is 0."""
    mask = np.uint32(0x1_0000_0000 - (1 << (23 - bits)))
    kept: np.ndarray = (numbers.view(np.uint32) & mask).view(np.float32) + np.float32(0)
    return kept


def quantiles(values: np.ndarray, numbers: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    order = np.argsort(values)
    reached = np.cumsum(numbers[order])
    places = np.searchsorted(reached, [reached[-1] * percent / 100 for percent in PERCENT.values()])
    return {name: float(values[order][place]) for name, place in zip(PERCENT, places, strict=True)}


def _unseen_share(counts: pa.Table, field: FeatureField, known: Vocabulary) -> float:
    values = counts["value"]
    learned = known.values.filter(pc.equal(known.values["field"], field.name))["value"]
    num_values = pc.sum(counts["count"]).as_py() or 0
    num_unseen = pc.sum(counts["count"].filter(pc.invert(pc.is_in(values, learned)))).as_py() or 0
    return float(num_unseen / max(1, num_values))
