"""One append-only id space for all fields: which row of the table stands for which value."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data import target
from pipeline.data.target import CLICKS, Target
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from schemas.features import (
    FeatureField,
    FeatureSpec,
    LogBucketEncoder,
    QuantileBucketEncoder,
    ScaleEncoder,
    VocabularyEncoder,
)

LEARNED = VocabularyEncoder | LogBucketEncoder


@dataclass(frozen=True, slots=True)
class FieldIds:
    """The ids that a field has from the start.

    `block` is the first id of its fixed ones: `num_buckets` of a hash, one more than `edges` of quantile buckets, one
    of a scaled number; a field with a vocabulary has none. A scaled number x weighs (x - shift) / scale.
    """

    name: str
    oov: int
    missing: int
    block: int
    edges: tuple[float, ...] = ()
    shift: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Reserved ids of every field, then the values in the order they were learned.

    Ids [0, num_reserved) are the fields' own; the value in row i of `values` (columns field, value, count) has id
    num_reserved + i. Growing appends rows and changes none, so a table trained under it stays valid.
    """

    spec: FeatureSpec
    fields: tuple[FieldIds, ...]
    num_reserved: int
    values: pa.Table
    target: Target = CLICKS
    """What its models' outputs are of: learned with the values, and left as it is by growing."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the label, as text and sorted; none where it is a click or a number."""
        return self.target.classes

    @property
    def num_ids(self) -> int:
        return self.num_reserved + len(self.values)

    @property
    def fingerprint(self) -> str:
        """Same fingerprint, same ids for every row; 16 hex digits."""
        digest = hashlib.sha256(self.layout_json().encode())
        for column in ("field", "value"):
            for chunk in self.values.column(column).cast(pa.large_string()).combine_chunks().buffers()[1:]:
                digest.update(chunk if chunk is not None else b"")
        return digest.hexdigest()[:16]

    def first(self, num_values: int) -> "Vocabulary":
        """As it was when it had so many values: growing only appends."""
        return replace(self, values=self.values.slice(0, num_values).combine_chunks())

    def grow(self, counts: pa.Table) -> "Vocabulary":
        """Append the values that `counts` has often enough, most frequent first; known ones keep id and count."""
        frequent = _learned(counts, self.spec)
        known = self.values.select(["field", "value"])
        new = frequent.join(known, keys=["field", "value"], join_type="left anti").select(COUNTS_SCHEMA.names)
        new = new.sort_by([("count", "descending"), ("field", "ascending"), ("value", "ascending")])
        return replace(self, values=pa.concat_tables([self.values, new.cast(COUNTS_SCHEMA)]).combine_chunks())

    def evict(self, recent_counts: pa.Table, max_count: int) -> tuple["Vocabulary", NDArray[np.int64]]:
        """Drop the rare values that were not seen lately; a value that comes back can be learned again.

        A value stays that `recent_counts`, as `count` makes them, has, or whose own count, which is that of when it was
        learned, is above `max_count`. Returns the rest in the same order, and the old id of each new id, int64
        [num_ids]; the fields' own ids all stay.
        """
        keys = ["field", "value"]
        placed = self.values.append_column("position", pa.array(np.arange(len(self.values))))
        seen = placed.join(recent_counts.select(keys), keys=keys, join_type="left semi")
        stays = pc.greater(self.values["count"], max_count).to_numpy().copy()
        stays[seen["position"].to_numpy()] = True
        kept = np.flatnonzero(stays)
        values = self.values.take(pa.array(kept)).combine_chunks()
        return replace(self, values=values), np.concatenate([np.arange(self.num_reserved), self.num_reserved + kept])

    def layout_json(self) -> str:
        """All but the values, which are a Parquet file of their own."""
        fields = [asdict(field) for field in self.fields]
        return json.dumps({"num_reserved": self.num_reserved, "fields": fields, **self.target.to_json()})

    @staticmethod
    def from_parts(spec: FeatureSpec, layout_json: str, values: pa.Table) -> "Vocabulary":
        """The inverse of `layout_json` and `values`."""
        layout = json.loads(layout_json)
        fields = tuple(FieldIds(**{**field, "edges": tuple(field["edges"])}) for field in layout["fields"])
        target = Target.from_json(layout)
        return Vocabulary(spec, fields, layout["num_reserved"], values.cast(COUNTS_SCHEMA), target)


def without_rare(counts: pa.Table, spec: FeatureSpec) -> pa.Table:
    """All but the values that occur too seldom to be learned."""
    return _at_least(counts, {field.name: _min_count(field) or 1 for field in spec.counted})


def _learned(counts: pa.Table, spec: FeatureSpec) -> pa.Table:
    """Of the fields that learn, what occurs often enough."""
    least_of = {field.name: _min_count(field) for field in spec.fields}
    return _at_least(counts, {name: least for name, least in least_of.items() if least})


def _min_count(field: FeatureField) -> int:
    """0 of a field that learns no values."""
    return field.encoder.min_count if isinstance(field.encoder, LEARNED) else 0


def _at_least(counts: pa.Table, least_of: dict[str, int]) -> pa.Table:
    """What these fields have so often; batch by batch, since most of it goes."""
    names, leasts = pa.array(list(least_of), pa.string()), pa.array(list(least_of.values()), pa.int64())
    batches = []
    for batch in counts.to_batches():
        least_of_row = leasts.take(pc.index_in(batch.column("field"), names))
        batches.append(batch.filter(pc.greater_equal(batch.column("count"), least_of_row)))
    return pa.Table.from_batches(batches, counts.schema)


def build(spec: FeatureSpec, counts: pa.Table) -> Vocabulary:
    """The first vocabulary: out-of-vocabulary and missing ids of each field, fixed blocks, then values by count.

    Raises Refusal for labels of fewer than two classes, or of too many.
    """
    next_id = 2 * len(spec.fields)
    fields = []
    for position, field in enumerate(spec.fields):
        ids = _fit(field, FieldIds(field.name, 2 * position, 2 * position + 1, next_id), counts)
        fields.append(ids)
        next_id += block_size(field, ids)
    first = Vocabulary(spec, tuple(fields), next_id, COUNTS_SCHEMA.empty_table(), _target(spec, counts))
    return first.grow(counts)


def count(table: pa.Table, spec: FeatureSpec) -> pa.Table:
    """How often each value of each field occurs: columns field, value (as text), count. Nulls are not counted."""
    counts = ValueCounts(spec.counted)
    counts.add(table)
    return merge(counts.total())


def merge(counts: pa.Table) -> pa.Table:
    """Add up the counts of the same field and value."""
    summed = counts.group_by(["field", "value"]).aggregate([("count", "sum")])
    return summed.rename_columns(["field", "value", "count"]).cast(COUNTS_SCHEMA)


def _target(spec: FeatureSpec, counts: pa.Table) -> Target:
    of_label = counts.filter(pc.equal(counts["field"], spec.label))
    match spec.objective:
        case "binary":
            return CLICKS
        case "multiclass":
            return target.of_classes(pc.unique(of_label["value"]).to_pylist(), spec)
        case "regression":
            ids = _fit(spec.counted[-1], FieldIds(spec.label, 0, 0, 0), of_label)
            return target.of_numbers(ids.shift, ids.scale, spec)


def _fit(field: FeatureField, ids: FieldIds, counts: pa.Table) -> FieldIds:
    """Quantile edges or scaling of a numeric field, from its counted bins."""
    if not isinstance(field.encoder, QuantileBucketEncoder | ScaleEncoder):
        return ids
    of_field = counts.filter(pc.equal(counts["field"], field.name))
    values = of_field["value"].cast(pa.float64()).to_numpy()
    order = np.argsort(values)
    values, rows = values[order], of_field["count"].to_numpy()[order]
    if not len(values):
        return ids
    if isinstance(field.encoder, QuantileBucketEncoder):
        return replace(ids, edges=_quantile_edges(values, rows, field.encoder.num_buckets))
    if field.encoder.to == "unit":
        shift, scale = float(values[0]), float(values[-1] - values[0])
    else:
        shift = float(np.average(values, weights=rows))
        scale = float(np.sqrt(np.average((values - shift) ** 2, weights=rows)))
    return replace(ids, shift=shift, scale=scale or 1.0)


def _quantile_edges(values: np.ndarray, rows: np.ndarray, num_buckets: int) -> tuple[float, ...]:
    """Inner edges: a number belongs to the bucket of the edges at or below it."""
    last_of_bucket = np.searchsorted(np.cumsum(rows), rows.sum() * np.arange(1, num_buckets) / num_buckets)
    first_of_next = np.minimum(last_of_bucket + 1, len(values) - 1)
    edges = np.unique(values[first_of_next])
    return tuple(float(edge) for edge in edges if edge > values[0])


def block_size(field: FeatureField, ids: FieldIds) -> int:
    """How many ids a field has from its `block` on."""
    match field.encoder.type:
        case "hash":
            return field.encoder.num_buckets
        case "quantile_bucket":
            return len(ids.edges) + 1
        case "scale":
            return 1
        case _:
            return 0
