"""A bundle as one graph of ONNX, from the columns of the log to the probability of a click, or what else it serves."""

from collections.abc import Collection, Sequence
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from pipeline.data.target import Target
from pipeline.export import logits, outputs
from pipeline.export.cells import CellReader
from pipeline.export.graph import Graph
from pipeline.export.inputs import ROWS, Type, inputs_of, output_name
from pipeline.registry.bundle import Bundle

ONNX_TYPES: dict[Type, int] = {"string": TensorProto.STRING, "int64": TensorProto.INT64, "double": TensorProto.DOUBLE}


def graph_of(bundle: Bundle, integers: Collection[str]) -> tuple[ModelProto, Sequence[NDArray[Any]]]:
    """The graph, and what is to lie in a file beside it. `integers`: categories that are sent as such, not as text."""
    inputs, stage = inputs_of(bundle.spec, integers), bundle.stage
    graph = Graph([one.name for one in inputs])
    for one in inputs:
        graph.input(one.name, ONNX_TYPES[one.type], one.shape)
    dimension = bundle.contents.table.dimension
    cells = CellReader(graph, bundle.vocabulary, bundle.table.rows.numpy(), integers).cells()
    found = logits.logits(graph, bundle.model, cells, dimension, stage.members)
    target = bundle.vocabulary.target
    match target.objective:
        case "binary":
            found = outputs.probabilities(graph, found, stage.members, bundle.contents.calibration)
        case "multiclass":
            found = outputs.class_probabilities(graph, found, stage.members)
        case "regression":
            found = outputs.predictions(graph, found, stage.members, target)
    graph.output(output_name(target.objective), TensorProto.FLOAT, output_shape(target), found)
    return graph.model(f"By {stage.model}, of rows as the log has them; see model.json beside it."), graph.external


def output_shape(target: Target) -> tuple[str | int, ...]:
    """Of classes it has a column each, in their order."""
    return (ROWS, len(target.classes)) if target.classes else (ROWS,)
