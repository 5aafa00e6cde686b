"""What the rows of a day add up to: tallies of its parts, and the DayProfile that is read off their sum.

Tallies are counts with the columns of `vocabulary.count`, so that `vocabulary.merge` adds them up exactly, in any
order. One without a field counts rows of the day, `value` saying which; one without a value, the rows that lack the
field.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from pipeline.data import columns
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from pipeline.data.vocabulary import LEARNED, Vocabulary
from schemas.checking import derived
from schemas.features import FeatureField, FeatureSpec, LogBucketEncoder, QuantileBucketEncoder, VocabularyEncoder

ROWS, POSITIVES, BAD, BAD_BECAUSE = "sound rows", "positives", "bad rows", "bad: "
IN_BUCKETS = "\0log bucket"  # behind the name of a field whose numbers are tallied as a vocabulary learns them, too
MAX_COUNTS = 100  # of a field's values that a profile keeps
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
    positives: int
    bad_rows: int
    bad_by_reason: dict[str, int]  # a row that breaks several rules counts for each
    fields: dict[str, FieldProfile]
    unknown_columns: tuple[str, ...] = ()  # of the day's files, those that the spec does not know
    first_day: date | None = None  # of a pool of days, whose last one is `day`
    num_days: int = 1

    @property
    def when(self) -> str:
        return f"{self.first_day} to {self.day}" if self.first_day else str(self.day)

    @property
    def label_rate(self) -> float:
        return self.positives / self.rows if self.rows else 0.0

    @property
    def bad_share(self) -> float:
        return self.bad_rows / max(1, self.rows + self.bad_rows)


def tally(sound: pa.Table, bad: Mapping[str, np.ndarray], spec: FeatureSpec) -> pa.Table:
    """Tallies of some rows of a day: the sound ones, and `quality.bad_rows` of all. Cost: that of counting values."""
    num_positives = pc.sum(pc.equal(columns.numbers(sound.column(spec.label)).cast(pa.float64()), 1)).as_py() or 0
    num_bad = int(np.logical_or.reduce(list(bad.values())).sum()) if bad else 0
    of_rows = {ROWS: len(sound), POSITIVES: num_positives, BAD: num_bad}
    of_rows |= {BAD_BECAUSE + reason: int(mask.sum()) for reason, mask in bad.items()}
    missing = {field.name: _num_missing(sound.column(field.name), field) for field in spec.fields}
    notes = [{"value": what, "count": number} for what, number in of_rows.items()]
    notes += [{"field": name, "count": number} for name, number in missing.items()]
    counts, buckets = ValueCounts(_by_value(spec)), ValueCounts(_log_buckets(spec))
    for one in (counts, buckets):
        one.add(sound)
    in_buckets = buckets.total()
    names = pc.binary_join_element_wise(in_buckets["field"], IN_BUCKETS, "")
    in_buckets = in_buckets.set_column(0, "field", names)
    return pa.concat_tables([pa.Table.from_pylist(notes, schema=COUNTS_SCHEMA), counts.total(), in_buckets])


def summarize(
    tallies: pa.Table, day: date, spec: FeatureSpec, log_fingerprint: str, spec_fingerprint: str
) -> DayProfile:
    """The profile of the day whose tallies, added up, these are; unseen shares are not known yet."""
    of_rows = tallies.filter(pc.is_null(tallies["field"]))
    numbers = dict(zip(of_rows["value"].to_pylist(), of_rows["count"].to_pylist(), strict=True))
    reasons = sorted(what for what in numbers if what.startswith(BAD_BECAUSE))
    fields = {}
    for field in spec.fields:
        of_field = tallies.filter(pc.equal(tallies["field"], field.name))
        fields[field.name] = _field_profile(of_field, field, numbers[ROWS])
    return DayProfile(
        day=day,
        log_fingerprint=log_fingerprint,
        spec_fingerprint=spec_fingerprint,
        rows=numbers[ROWS],
        positives=numbers[POSITIVES],
        bad_rows=numbers[BAD],
        bad_by_reason={reason.removeprefix(BAD_BECAUSE): numbers[reason] for reason in reasons},
        fields=fields,
    )


def counted_values(tallies: pa.Table, spec: FeatureSpec) -> pa.Table:
    """The counts that a vocabulary is built of or grown by: what `vocabulary.count` makes of the same rows."""
    own = {field.name: field.name for field in spec.fields if field.encoder.type not in ("hash", "log_bucket")}
    own |= {field.name + IN_BUCKETS: field.name for field in _log_buckets(spec)}
    place = pc.index_in(tallies["field"], pa.array(list(own), pa.string()))
    names = pa.array(list(own.values()), pa.string()).take(place.combine_chunks())
    counts = tallies.select(COUNTS_SCHEMA.names).set_column(0, "field", names)
    return counts.filter(pc.and_(pc.is_valid(counts["field"]), pc.is_valid(counts["value"])))


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


def _log_buckets(spec: FeatureSpec) -> list[FeatureField]:
    return [field for field in spec.fields if isinstance(field.encoder, LogBucketEncoder)]


def _by_value(spec: FeatureSpec) -> list[FeatureField]:
    """The same columns as ValueCounts counts all values of: of a hash's none, and of log buckets not the numbers."""

    def by_value(field: FeatureField) -> FeatureField:
        is_number = field.kind == "numeric"
        encoder = QuantileBucketEncoder(type="quantile_bucket") if is_number else VocabularyEncoder()
        return derived(field, encoder=encoder)

    return list(map(by_value, spec.fields))


def _num_missing(column: pa.ChunkedArray, field: FeatureField) -> int:
    if field.kind == "multi_valued":
        _, lengths = columns.values_of_lists(column)
        return int((lengths == 0).sum())
    if field.kind == "numeric":
        return int(columns.decoded(column).null_count)
    values = columns.categories(column)
    return int((columns.distinct(values)[1] if pa.types.is_dictionary(values.type) else values).null_count)


def _field_profile(of_field: pa.Table, field: FeatureField, num_rows: int) -> FieldProfile:
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
    by_count = [("count", "descending"), ("value", "ascending")]
    # Of no rows at all Arrow selects none by an error.
    top = counts.take(pc.select_k_unstable(counts, MAX_COUNTS, by_count)) if len(counts) else counts
    return FieldProfile(
        null_share=null_share,
        num_values=num_values,
        num_distinct=len(counts),
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
