"""One append-only id space for all fields: which row of the table stands for which value."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data import target
from pipeline.data.field_ids import FieldIds, fit, lay_out
from pipeline.data.target import CLICKS, Target
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from schemas.features import (
    FeatureField,
    FeatureSpec,
    LogBucketEncoder,
    VocabularyEncoder,
)

LEARNED = VocabularyEncoder | LogBucketEncoder


@dataclass(frozen=True, slots=True)
class Joined:
    """Fields that joined a vocabulary later, all at once: their own ids lie behind those of the values before them."""

    num_values: int
    """That there were then."""
    num_ids: int
    """Of their own."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Reserved ids of every field, then the values in the order they were learned.

    Ids [0, num_reserved) are the fields' own; the value in row i of `values` (columns field, value, count) has id
    num_reserved + i, and is moved back by what has `joined` before it. Growing appends ids and changes none, so a table
    trained under it stays valid.
    """

    spec: FeatureSpec
    fields: tuple[FieldIds, ...]
    """In the order of the spec."""
    num_reserved: int
    values: pa.Table
    target: Target = CLICKS
    """What its models' outputs are of: learned with the values, and left as it is by growing."""
    joined: tuple[Joined, ...] = ()
    """In the order in which they did."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the label, as text and sorted; none where it is a click or a number."""
        return self.target.classes

    @property
    def num_ids(self) -> int:
        return sum(num_ids for _, num_ids in self.own_ids) + len(self.values)

    @property
    def own_ids(self) -> list[tuple[int, int]]:
        """Where the fields' own ids begin, and how many they are: those from the start, then of each that joined."""
        found = [(0, self.num_reserved)]
        for one in self.joined:
            before = sum(num_ids for _, num_ids in found)
            found.append((before + one.num_values, one.num_ids))
        return found

    @property
    def value_ids(self) -> NDArray[np.int32]:
        """The id of each row of `values`, ascending."""
        ids = self.num_reserved + np.arange(len(self.values), dtype=np.int32)
        for one in self.joined:
            ids[one.num_values :] += one.num_ids
        return ids

    @property
    def fingerprint(self) -> str:
        """Same fingerprint, same ids for every row; 16 hex digits."""
        digest = hashlib.sha256(self.layout_json().encode())
        for column in ("field", "value"):
            for chunk in self.values.column(column).cast(pa.large_string()).combine_chunks().buffers()[1:]:
                digest.update(chunk if chunk is not None else b"")
        return digest.hexdigest()[:16]

    def first(self, num_values: int) -> "Vocabulary":
        """As it was when it had so many values: growing only appends. Fields that joined it later are there already."""
        return replace(self, values=self.values.slice(0, num_values).combine_chunks())

    def grow(self, counts: pa.Table) -> "Vocabulary":
        """Append the values that `counts` has often enough, most frequent first; known ones keep id and count."""
        frequent = _learned(counts, self.spec)
        known = self.values.select(["field", "value"])
        new = frequent.join(known, keys=["field", "value"], join_type="left anti").select(COUNTS_SCHEMA.names)
        new = new.sort_by([("count", "descending"), ("field", "ascending"), ("value", "ascending")])
        return replace(self, values=pa.concat_tables([self.values, new.cast(COUNTS_SCHEMA)]).combine_chunks())

    def under(self, spec: FeatureSpec, counts: pa.Table) -> "Vocabulary":
        """With the fields that `spec` has beside its own, which get ids behind all others. Known ids stay.

        The spec may have its fields in another order.
        """
        known = {ids.name: ids for ids in self.fields}
        new = [field for field in spec.fields if field.name not in known]
        laid_out, end = lay_out(new, self.num_ids, counts)
        known |= {ids.name: ids for ids in laid_out}
        joined = (*self.joined, Joined(len(self.values), end - self.num_ids)) if new else self.joined
        return replace(self, spec=spec, fields=tuple(known[field.name] for field in spec.fields), joined=joined)

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
        old_ids = np.delete(np.arange(self.num_ids), self.value_ids[~stays])
        fields = tuple(ids.among(old_ids) for ids in self.fields)
        joined = [replace(one, num_values=int(stays[: one.num_values].sum())) for one in self.joined]
        values = self.values.filter(pa.array(stays)).combine_chunks()
        return replace(self, values=values, fields=fields, joined=tuple(joined)), old_ids

    def layout_json(self) -> str:
        """All but the values, which are a Parquet file of their own."""
        fields = [asdict(field) for field in self.fields]
        joined = {"joined": [asdict(one) for one in self.joined]} if self.joined else {}
        return json.dumps({"num_reserved": self.num_reserved, "fields": fields, **self.target.to_json(), **joined})

    @staticmethod
    def from_parts(spec: FeatureSpec, layout_json: str, values: pa.Table) -> "Vocabulary":
        """The inverse of `layout_json` and `values`."""
        layout = json.loads(layout_json)
        fields = tuple(FieldIds(**{**field, "edges": tuple(field["edges"])}) for field in layout["fields"])
        joined = tuple(Joined(**one) for one in layout.get("joined", ()))
        target = Target.from_json(layout)
        return Vocabulary(spec, fields, layout["num_reserved"], values.cast(COUNTS_SCHEMA), target, joined)


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
    fields, num_reserved = lay_out(spec.fields, 0, counts)
    first = Vocabulary(spec, tuple(fields), num_reserved, COUNTS_SCHEMA.empty_table(), _target(spec, counts))
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
            ids = fit(spec.counted[-1], FieldIds(spec.label, 0, 0, 0), of_label)
            return target.of_numbers(ids.shift, ids.scale, spec)
