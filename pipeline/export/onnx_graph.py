"""A bundle as one graph of ONNX, from the columns of the log to the probability of a click."""

from collections.abc import Collection, Sequence
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from pipeline.export import logits
from pipeline.export.cells import CellReader
from pipeline.export.graph import Graph
from pipeline.export.inputs import PROBABILITY, ROWS, Type, inputs_of
from pipeline.registry.bundle import Bundle

ONNX_TYPES: dict[Type, int] = {"string": TensorProto.STRING, "int64": TensorProto.INT64, "double": TensorProto.DOUBLE}


def graph_of(bundle: Bundle, integers: Collection[str]) -> tuple[ModelProto, Sequence[NDArray[Any]]]:
    """The graph, and what is to lie in a file beside it. `integers`: categories that are sent as such, not as text."""
    graph, stage = Graph(), bundle.stage
    for one in inputs_of(bundle.spec, integers):
        graph.input(one.name, ONNX_TYPES[one.type], one.shape)
    dimension = bundle.contents.table.dimension
    cells = CellReader(graph, bundle.vocabulary, bundle.table.rows.numpy(), integers).cells()
    logits_R1 = logits.logits(graph, bundle.model, cells, dimension, stage.members)
    value = logits.probabilities(graph, logits_R1, bundle.contents.calibration)
    graph.output(PROBABILITY, TensorProto.FLOAT, [ROWS], value)
    words = f"Click probabilities by {stage.model}, of rows as the log has them; see model.json beside it."
    return graph.model(words), graph.external
