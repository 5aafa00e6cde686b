"""From logits to what comes out of a graph, which is what `Bundle.scores` says of all members, in the label's unit."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pipeline.data.target import Target
from pipeline.evaluation.calibration import Calibration, Isotonic, Platt
from pipeline.export.graph import Graph

I64, F32, F64 = np.int64, np.float32, np.float64
Array = NDArray[np.float64]


def probabilities(graph: Graph, logits: str, members: int, calibration: Calibration | None) -> str:
    """Of a click: [R, 1] or [M, R, 1] -> float32 [R], computed in float64."""
    logit_R = _one_a_row(graph, logits if members == 1 else _log_odds_of_mean(graph, logits))
    logit_R = graph.cast(logit_R, TensorProto.DOUBLE)
    if calibration is not None:
        calibrated_R = graph.cast(_calibrated(graph, logit_R, calibration), TensorProto.FLOAT)
        logit_R = graph.cast(calibrated_R, TensorProto.DOUBLE)  # rounded between them, as it is served
    return graph.cast(graph.op("Sigmoid", logit_R), TensorProto.FLOAT)


def class_probabilities(graph: Graph, logits: str, members: int) -> str:
    """[R, C] or [M, R, C] -> float32 [R, C], computed in float64."""
    if members > 1:  # but for the logarithm of their number, which the softmax takes away
        of_members = graph.op("LogSoftmax", logits, axis=2)
        logits = graph.op("ReduceLogSumExp", of_members, graph.constant([0], I64), keepdims=0)
    return graph.cast(graph.op("Softmax", graph.cast(logits, TensorProto.DOUBLE), axis=1), TensorProto.FLOAT)


def predictions(graph: Graph, logits: str, members: int, target: Target) -> str:
    """[R, 1] or [M, R, 1] -> float32 [R], in the label's unit."""
    mean = logits if members == 1 else graph.op("ReduceMean", logits, graph.constant([0], I64), keepdims=0)
    scaled_R = graph.op("Mul", _one_a_row(graph, mean), graph.constant(target.scale, F32))
    return graph.op("Add", scaled_R, graph.constant(target.shift, F32))


def _one_a_row(graph: Graph, values_R1: str) -> str:
    return graph.op("Squeeze", values_R1, graph.constant([1], I64))


def _log_odds_of_mean(graph: Graph, logits_MR1: str) -> str:
    """As `models.served`: log sigmoid(z) is -softplus(-z)."""
    members = graph.constant([0], I64)
    against = graph.op("Neg", graph.op("Softplus", logits_MR1))
    clicks = graph.op("Neg", graph.op("Softplus", graph.op("Neg", logits_MR1)))
    return graph.op(
        "Sub",
        graph.op("ReduceLogSumExp", clicks, members, keepdims=0),
        graph.op("ReduceLogSumExp", against, members, keepdims=0),
    )


def _calibrated(graph: Graph, logit_R: str, calibration: Calibration) -> str:
    match calibration:
        case Platt(slope=slope, intercept=intercept):
            scaled = graph.op("Mul", logit_R, graph.constant(slope, F64))
            return graph.op("Add", scaled, graph.constant(intercept, F64))
        case Isotonic(knots_x=knots_x, knots_y=knots_y):
            return _interpolated(graph, logit_R, np.array(knots_x), np.array(knots_y))


def _interpolated(graph: Graph, x_R: str, knots_x: Array, knots_y: Array) -> str:
    """Straight lines between knots, and lines of slope 1 beyond the first and the last one."""
    knots_x, knots_y = np.append(knots_x, np.inf), np.append(knots_y, knots_y[-1])
    slopes = np.append(np.diff(knots_y[:-1]) / np.diff(knots_x[:-1]), 0.0)
    first, last = graph.constant(knots_x[0], F64), graph.constant(knots_x[-2], F64)
    within_R = graph.op("Min", graph.op("Max", x_R, first), last)
    within_R1 = graph.op("Unsqueeze", within_R, graph.constant([1], I64))
    is_passed_RK = graph.op("GreaterOrEqual", within_R1, graph.constant(knots_x[1:], F64))
    passed_R = graph.op("ReduceSum", graph.cast(is_passed_RK, TensorProto.INT64), graph.constant([1], I64), keepdims=0)
    from_R = graph.op("Sub", within_R, graph.op("Gather", graph.constant(knots_x[:-1], F64), passed_R))
    rise_R = graph.op("Mul", from_R, graph.op("Gather", graph.constant(slopes, F64), passed_R))
    y_R = graph.op("Add", graph.op("Gather", graph.constant(knots_y[:-1], F64), passed_R), rise_R)
    return graph.op("Add", y_R, graph.op("Sub", x_R, within_R))
