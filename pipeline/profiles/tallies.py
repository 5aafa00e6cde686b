"""Tallies of a day's parts, and what becomes of their sum: a few that its profile is made of, and a file of counts.

Tallies are counts with the columns of `vocabulary.count`, so that `vocabulary.merge` adds them up exactly, in any
order. One without a field counts rows of the day, `value` saying which; one without a value, the rows that lack the
field.
"""

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.data import columns
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from schemas.checking import derived
from schemas.features import FeatureField, FeatureSpec, LogBucketEncoder, QuantileBucketEncoder, VocabularyEncoder

ROWS, POSITIVES, BAD, BAD_BECAUSE = "sound rows", "positives", "bad rows", "bad: "
IN_BUCKETS = "\0log bucket"  # behind the name of a field whose numbers are tallied as a vocabulary learns them, too
MAX_COUNTS = 100  # of a field's values that a profile keeps
OTHERS = "\0others"  # behind the name of a field, of whose values all but the most frequent were left out
LEFT_OUT = VALUES, DISTINCT = "values", "distinct values"
WRITTEN_COUNTS = 1_000_000  # at once


class DayTallies:
    """The sum of a day's tallies as it comes, some values at a time: however many they are, what is held is small."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._spec = spec
        self._tallies = [COUNTS_SCHEMA.empty_table()]
        self._waiting = [COUNTS_SCHEMA.empty_table()]
        self._file = io.BytesIO()
        self._writer = pq.ParquetWriter(self._file, COUNTS_SCHEMA, compression="zstd")

    def add(self, tallies: pa.Table) -> None:
        """Summed already: none of their values comes again."""
        self._tallies.append(condensed(tallies, self._spec))
        self._waiting.append(counted_values(tallies, self._spec))
        if sum(map(len, self._waiting)) > WRITTEN_COUNTS:
            self._write()

    def total(self) -> pa.Table:
        """All that a profile is made of."""
        return pa.concat_tables(self._tallies)

    def values_file(self) -> bytes:
        """The `counted_values` as Parquet; nothing is to be added any more."""
        self._write()
        self._writer.close()
        return self._file.getvalue()

    def _write(self) -> None:
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = [COUNTS_SCHEMA.empty_table()]


def tally(sound: pa.Table, bad: Mapping[str, np.ndarray], spec: FeatureSpec) -> pa.Table:
    """Tallies of some rows of a day: the sound ones, and `quality.bad_rows` of all. Cost: that of counting values."""
    num_bad = int(np.logical_or.reduce(list(bad.values())).sum()) if bad else 0
    of_rows = {ROWS: len(sound), BAD: num_bad}
    if spec.objective == "binary":
        clicks = pc.equal(columns.numbers(sound.column(spec.label)).cast(pa.float64()), 1)
        of_rows[POSITIVES] = pc.sum(clicks).as_py() or 0
    of_rows |= {BAD_BECAUSE + reason: int(mask.sum()) for reason, mask in bad.items()}
    missing = {field.name: _num_missing(sound.column(field.name), field) for field in spec.counted}
    notes = [{"value": what, "count": number} for what, number in of_rows.items()]
    notes += [{"field": name, "count": number} for name, number in missing.items()]
    counts, buckets = ValueCounts(_by_value(spec)), ValueCounts(_log_buckets(spec))
    for one in (counts, buckets):
        one.add(sound)
    in_buckets = buckets.total()
    names = pc.binary_join_element_wise(in_buckets["field"], IN_BUCKETS, "")
    in_buckets = in_buckets.set_column(0, "field", names)
    return pa.concat_tables([pa.Table.from_pylist(notes, schema=COUNTS_SCHEMA), counts.total(), in_buckets])


def condensed(tallies: pa.Table, spec: FeatureSpec) -> pa.Table:
    """Of each field that is no number the most frequent values, and how many others there were; all else as it is."""
    names = [field.name for field in spec.counted if field.kind != "numeric"]
    in_buckets = [field.name + IN_BUCKETS for field in _log_buckets(spec)]
    is_value = pc.and_(pc.is_in(tallies["field"], pa.array(names, pa.string())), pc.is_valid(tallies["value"]))
    is_left_out = pc.or_(is_value, pc.is_in(tallies["field"], pa.array(in_buckets, pa.string())))
    kept, values, notes = [tallies.filter(pc.invert(is_left_out))], tallies.filter(is_value), []
    for name in names:
        of_field = values.filter(pc.equal(values["field"], name))
        top = most_frequent(of_field)
        left_out = [(pc.sum(one["count"]).as_py() or 0, len(one)) for one in (of_field, top)]
        for what, all_of_it, in_top in zip(LEFT_OUT, *left_out, strict=True):
            notes.append({"field": name + OTHERS, "value": what, "count": all_of_it - in_top})
        kept.append(top)
    kept.append(pa.Table.from_pylist(notes, schema=COUNTS_SCHEMA))
    return pa.concat_tables([table.select(COUNTS_SCHEMA.names) for table in kept])


def most_frequent(counts: pa.Table) -> pa.Table:
    """Of those of a field the MAX_COUNTS highest, by text where they are alike."""
    by_count = [("count", "descending"), ("value", "ascending")]
    # Of no rows at all Arrow selects none by an error.
    return counts.take(pc.select_k_unstable(counts, MAX_COUNTS, by_count)) if len(counts) else counts


def counted_values(tallies: pa.Table, spec: FeatureSpec) -> pa.Table:
    """The counts that a vocabulary is built of or grown by: what `vocabulary.count` makes of the same rows."""
    own = {field.name: field.name for field in spec.counted if field.encoder.type not in ("hash", "log_bucket")}
    own |= {field.name + IN_BUCKETS: field.name for field in _log_buckets(spec)}
    place = pc.index_in(tallies["field"], pa.array(list(own), pa.string()))
    names = pa.array(list(own.values()), pa.string()).take(place.combine_chunks())
    counts = tallies.select(COUNTS_SCHEMA.names).set_column(0, "field", names)
    return counts.filter(pc.and_(pc.is_valid(counts["field"]), pc.is_valid(counts["value"])))


def _log_buckets(spec: FeatureSpec) -> list[FeatureField]:
    return [field for field in spec.fields if isinstance(field.encoder, LogBucketEncoder)]


def _by_value(spec: FeatureSpec) -> list[FeatureField]:
    """The same columns as ValueCounts counts all values of: of a hash's none, and of log buckets not the numbers."""

    def by_value(field: FeatureField) -> FeatureField:
        is_number = field.kind == "numeric"
        encoder = QuantileBucketEncoder(type="quantile_bucket") if is_number else VocabularyEncoder()
        return derived(field, encoder=encoder)

    return list(map(by_value, spec.counted))


def _num_missing(column: pa.ChunkedArray, field: FeatureField) -> int:
    if field.kind == "multi_valued":
        _, lengths = columns.values_of_lists(column)
        return int((lengths == 0).sum())
    if field.kind == "numeric":
        return int(columns.decoded(column).null_count)
    values = columns.categories(column)
    return int((columns.distinct(values)[1] if pa.types.is_dictionary(values.type) else values).null_count)
