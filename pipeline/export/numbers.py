"""Numbers within a graph: which bucket one falls into, and what a scaled one weighs.

A bucket is a piece of the line of numbers. Where its edges are is found here, by the encoder's own arithmetic, so that
the graph only compares: no logarithm of another library decides an id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pipeline.data.field_ids import FieldIds
from pipeline.data.value_counts import log_bucket
from pipeline.data.vocabulary import Vocabulary
from pipeline.export.graph import Graph
from pipeline.export.learned import learned
from schemas.features import LogBucketEncoder, NumericField

LARGEST = np.finfo(np.float64).max
I64, F64 = np.int64, np.float64


@dataclass(frozen=True, slots=True)
class Pieces:
    """A number that is at or above k of the `edges`, ascending, has the k-th of the `ids`, which are one more."""

    edges: NDArray[np.float64]
    ids: NDArray[np.int64]


def pieces_of(field: NumericField, ids: FieldIds, vocabulary: Vocabulary) -> Pieces:
    """Of a field of quantile or log buckets."""
    if not isinstance(field.encoder, LogBucketEncoder):
        return Pieces(np.asarray(ids.edges, F64), ids.block + np.arange(len(ids.edges) + 1, dtype=I64))
    values, of_bucket = learned(vocabulary, field.name)
    buckets = np.array([*map(int, values.to_pylist())], I64)
    order = np.argsort(buckets)
    edges: list[float] = []
    found = [ids.oov]
    for bucket, own in zip(buckets[order].tolist(), of_bucket[order].tolist(), strict=True):
        first, behind = _first_of(bucket), _first_of(bucket + 1)
        if edges and edges[-1] == first:
            edges.pop()
            found.pop()
        edges += [first, behind]
        found += [own, ids.oov]
    return Pieces(np.array(edges, F64), np.array(found, I64))


def _first_of(bucket: int) -> float:
    """The smallest number that lies in this log bucket or a higher one, by halving what its bits count; or infinity."""
    low, high = _place(-LARGEST), _place(np.inf)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if log_bucket(np.array([_at(middle)]))[0] >= bucket else (middle + 1, high)
    return _at(low)


def _place(number: float) -> int:
    """How many floats lie between 0 and it, negative below 0."""
    bits = int(np.float64(abs(number)).view(I64))
    return -bits if number < 0 else bits


def _at(place: int) -> float:
    """The inverse."""
    size = float(np.int64(abs(place)).view(F64))
    return -size if place < 0 else size


def bucket_ids(graph: Graph, fields: Sequence[NumericField], vocabulary: Vocabulary) -> str:
    """Int64 [fields, R]."""
    own = {ids.name: ids for ids in vocabulary.fields}
    found = [pieces_of(field, own[field.name], vocabulary) for field in fields]
    width = max(1, *(len(one.edges) for one in found))
    # NaN, where a field has fewer: no number is at or above it.
    edges_FE = np.stack([np.append(one.edges, np.full(width - len(one.edges), np.nan)) for one in found])
    starts = np.cumsum([0, *(len(one.ids) for one in found[:-1])])
    numbers_FR, is_number_FR = _read(graph, fields)
    edges_F1E = graph.constant(edges_FE[:, None], F64)
    is_reached_FRE = graph.op("GreaterOrEqual", graph.op("Unsqueeze", numbers_FR, graph.constant([2], I64)), edges_F1E)
    reached_FR = graph.op(
        "ReduceSum", graph.cast(is_reached_FRE, TensorProto.INT64), graph.constant([2], I64), keepdims=0
    )
    places_FR = graph.op("Add", reached_FR, graph.constant(starts[:, None], I64))
    known_FR = graph.op("Gather", graph.constant(np.concatenate([one.ids for one in found]), I64), places_FR)
    missing_F1 = graph.constant([[own[field.name].missing] for field in fields], I64)
    return graph.op("Where", is_number_FR, known_FR, missing_F1)


def scaled_ids(graph: Graph, fields: Sequence[NumericField], vocabulary: Vocabulary) -> tuple[str, str]:
    """(int64 ids [fields, R], float32 what each weighs, of the same shape)."""
    own = {ids.name: ids for ids in vocabulary.fields}
    ids = [own[field.name] for field in fields]
    numbers_FR, is_number_FR = _read(graph, fields)
    known_F1 = graph.constant([[one.block] for one in ids], I64)
    ids_FR = graph.op("Where", is_number_FR, known_F1, graph.constant([[one.missing] for one in ids], I64))
    shifted_FR = graph.op("Sub", numbers_FR, graph.constant([[one.shift] for one in ids], F64))
    weights_FR = graph.op("Div", shifted_FR, graph.constant([[one.scale] for one in ids], F64))
    weights_FR = graph.op("Where", is_number_FR, weights_FR, graph.constant([[1.0]], F64))
    return ids_FR, graph.cast(weights_FR, TensorProto.FLOAT)


def _read(graph: Graph, fields: Sequence[NumericField]) -> tuple[str, str]:
    """(the inputs as one, [fields, R], and whether each is a finite number)."""
    together = graph.op("Concat", *(field.name for field in fields), axis=0)
    numbers_FR = graph.op("Reshape", together, graph.constant([len(fields), -1], I64))
    is_number_FR = graph.op("LessOrEqual", graph.op("Abs", numbers_FR), graph.constant(LARGEST, F64))
    return numbers_FR, is_number_FR
