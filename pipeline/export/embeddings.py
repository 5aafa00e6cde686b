"""`nightjar export --to embeddings`: the table's rows by field and value, as one Parquet file."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.field_ids import FieldIds, block_size
from pipeline.data.vocabulary import Vocabulary
from pipeline.export import place
from pipeline.registry.bundle import Bundle
from schemas.features import FeatureField

ROWS_AT_ONCE = 65_536  # and of a row group
OTHER, MISSING, SCALED = "<other>", "<missing>", "<scaled>"


def schema_of(dimension: int) -> pa.Schema:
    """`count`: rows of the training days when the value was learned, null of rows that stand for no single value."""
    return pa.schema(
        [
            pa.field("field", pa.string(), nullable=False),
            pa.field("value", pa.string(), nullable=False),
            pa.field("count", pa.int64()),
            pa.field("w", pa.float32(), nullable=False),
            pa.field("v", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def export(bundle: Bundle, out_uri: str) -> int:
    """Write the file, in the order of the ids; the number of rows. Memory holds one row group beside the bundle.

    Raises Refusal where it cannot be written.
    """
    dimension = bundle.contents.table.dimension
    schema, rows_nD = schema_of(dimension), bundle.table.rows.numpy()
    with place.file(out_uri) as sink, pq.ParquetWriter(sink, schema) as writer:
        start = 0
        for named in _named(bundle.vocabulary):
            some = rows_nD[start : start + len(named)]
            w, v = pa.array(some[:, 0]), pa.FixedSizeListArray.from_arrays(pa.array(some[:, 1:].ravel()), dimension)
            writer.write_table(pa.table([*named.columns, w, v], schema=schema))
            start += len(named)
    assert start == bundle.vocabulary.num_ids
    return start


def _named(vocabulary: Vocabulary) -> Iterator[pa.Table]:
    """Columns field, value, count of all ids, in their order: fields' own, and the values learned since they joined."""
    own = sorted(zip(vocabulary.spec.fields, vocabulary.fields, strict=True), key=lambda one: one[1].oov)
    joined_at = [0, *(one.num_values for one in vocabulary.joined), len(vocabulary.values)]
    for (first, num_ids), (since, until) in zip(vocabulary.own_ids, pairwise(joined_at), strict=True):
        yield from _named_own([(field, ids) for field, ids in own if first <= ids.oov < first + num_ids], vocabulary)
        for start in range(since, until, ROWS_AT_ONCE):
            yield vocabulary.values.slice(start, min(ROWS_AT_ONCE, until - start))


def _named_own(own: Sequence[tuple[FeatureField, FieldIds]], vocabulary: Vocabulary) -> Iterator[pa.Table]:
    """Of the ids that fields have of their own which were there together."""
    schema = vocabulary.values.schema
    yield _without_counts(schema, [(ids.name, value) for _, ids in own for value in (OTHER, MISSING)])
    for field, ids in own:
        blocks = _blocks(field, ids)
        for start in range(0, len(blocks), ROWS_AT_ONCE):
            yield _without_counts(schema, [(ids.name, value) for value in blocks[start : start + ROWS_AT_ONCE]])


def _blocks(field: FeatureField, ids: FieldIds) -> Sequence[str]:
    """What stands for each of a field's fixed ids: the interval of a quantile bucket, the number of a hash's."""
    match field.encoder.type:
        case "quantile_bucket":
            return [f"[{low:g}, {high:g})" for low, high in pairwise([-inf, *ids.edges, inf])]
        case "scale":
            return [SCALED]
        case _:
            return [f"<bucket {bucket}>" for bucket in range(block_size(field, ids))]


def _without_counts(schema: pa.Schema, both: Sequence[tuple[str, str]]) -> pa.Table:
    fields, values = zip(*both, strict=True)
    return pa.table([fields, values, pa.nulls(len(both), pa.int64())], schema=schema)
