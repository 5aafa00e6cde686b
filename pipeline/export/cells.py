"""From the inputs of a graph to the cells that a model reads, as `data.encode` and `embedding.lookup` make them."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pipeline.data.vocabulary import Vocabulary
from pipeline.export import numbers
from pipeline.export.categories import CategoryIds
from pipeline.export.graph import Graph
from pipeline.export.inputs import LENGTHS
from schemas.features import CategoricalField, MultiValuedField, NumericField, ScaleEncoder

I64 = np.int64


@dataclass(frozen=True, slots=True)
class Cells:
    """`value`: float32 [R, F, D]. `order`: which field of the spec each of its F is."""

    value: str
    order: tuple[int, ...]


class CellReader:
    """The table, and how each field's cells are read from it."""

    def __init__(
        self, graph: Graph, vocabulary: Vocabulary, rows_nD: NDArray[np.float32], integers: Collection[str]
    ) -> None:
        self._graph, self._vocabulary = graph, vocabulary
        self._categories = CategoryIds(graph, vocabulary, integers)
        self._missing = {ids.name: ids.missing for ids in vocabulary.fields}
        self._nothing = len(rows_nD)  # of a list's places without a value: a row of 0 behind the others
        self._table = graph.constant(np.append(rows_nD, np.zeros_like(rows_nD[:1]), axis=0), np.float32)

    def cells(self) -> Cells:
        """All fields' cells. Those that are read alike are read at once, so that they stand in another order."""
        graph, vocabulary, fields = self._graph, self._vocabulary, self._vocabulary.spec.fields
        categories = [field for field in fields if isinstance(field, CategoricalField)]
        lists = [field for field in fields if isinstance(field, MultiValuedField)]
        of_numbers = [field for field in fields if isinstance(field, NumericField)]
        scaled = [field for field in of_numbers if isinstance(field.encoder, ScaleEncoder)]
        bucketed = [field for field in of_numbers if field not in scaled]
        plain = [self._categories.of(field, self._missing[field.name]) for field in categories]
        if bucketed:
            buckets_FR = numbers.bucket_ids(graph, bucketed, vocabulary)
            plain.append(graph.op("Reshape", buckets_FR, graph.constant([-1], I64)))
        parts = []
        if plain:
            ids = graph.op("Concat", *plain, axis=0)
            shape = graph.constant([len(categories) + len(bucketed), -1], I64)
            parts.append(self._rows(graph.op("Reshape", ids, shape)))
        if scaled:
            ids_FR, weights_FR = numbers.scaled_ids(graph, scaled, vocabulary)
            weights_RF = graph.op("Transpose", weights_FR, perm=[1, 0])
            weights_RF1 = graph.op("Unsqueeze", weights_RF, graph.constant([2], I64))
            parts.append(graph.op("Mul", self._rows(ids_FR), weights_RF1))
        parts += [self._bag(field) for field in lists]
        value = graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        return Cells(value, tuple(map(fields.index, [*categories, *bucketed, *scaled, *lists])))

    def _rows(self, ids_FR: str) -> str:
        """-> [R, F, D]"""
        return self._graph.op("Gather", self._table, self._graph.op("Transpose", ids_FR, perm=[1, 0]))

    def _bag(self, field: MultiValuedField) -> str:
        """The sum or mean over a list; of one without values the missing row. [R, 1, D]"""
        graph, nothing = self._graph, self._graph.constant(self._nothing, I64)
        one, second = graph.constant(1, I64), graph.constant([1], I64)
        ids_RL = self._categories.of(field, self._nothing)
        width = graph.op("Squeeze", graph.op("Shape", field.name, start=1, end=2))
        places_L = graph.op("Range", graph.constant(0, I64), width, one)
        is_filled_RL = graph.op("Less", places_L, graph.op("Unsqueeze", field.name + LENGTHS, second))
        ids_RL = graph.op("Where", is_filled_RL, ids_RL, nothing)
        is_value_RL = graph.cast(graph.op("Less", ids_RL, nothing), TensorProto.INT64)
        number_R1 = graph.op("ReduceSum", is_value_RL, second, keepdims=1)
        is_empty_R1 = graph.op("Less", number_R1, one)
        missing = graph.constant(self._missing[field.name], I64)
        ids_RL = graph.op("Concat", ids_RL, graph.op("Where", is_empty_R1, missing, nothing), axis=1)
        cell_R1D = graph.op("ReduceSum", graph.op("Gather", self._table, ids_RL), second, keepdims=1)
        if field.combine == "sum":
            return cell_R1D
        divisor_R1 = graph.cast(graph.op("Max", number_R1, one), TensorProto.FLOAT)
        return graph.op("Div", cell_R1D, graph.op("Unsqueeze", divisor_R1, graph.constant([2], I64)))
