"""From cells to what is served: the models' equations, the mean of members, the calibration and the sigmoid."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from pipeline.evaluation.calibration import Calibration, Isotonic, Platt
from pipeline.export.cells import Cells
from pipeline.export.graph import Graph
from pipeline.models import CTRModel
from pipeline.models.deepfm import DeepFM
from pipeline.models.dnn import DNN
from pipeline.models.fnn import FNN

I64, F32, F64 = np.int64, np.float32, np.float64
Array = NDArray[np.float64]


class Linear(NamedTuple):
    """x -> weight x + bias, of M members: [M, units, inputs] and [M, units]."""

    weight: Array
    bias: Array


def logits(graph: Graph, model: CTRModel, cells: Cells, dimension: int, members: int) -> str:
    """[R, F, D] -> logits [R, 1] as they are served, before any calibration."""
    w0 = float(model.w0.detach())
    if not isinstance(model, DNN | FNN | DeepFM):
        return _fm(graph, cells.value, w0, dimension)
    layers = model.mlp.layers
    linears = _linears(layers, members)
    reads_w = isinstance(model, DNN | FNN)
    linears[0] = _reading_cells(linears[0], cells.order, dimension, w0 if reads_w else None)
    flat_RX = graph.op("Reshape", cells.value, graph.constant([0, len(cells.order) * (1 + dimension)], I64))
    deep = _layers(graph, flat_RX, linears, _activation(layers))
    if isinstance(model, DeepFM):
        deep = graph.op("Add", deep, _fm(graph, cells.value, w0, dimension))
    return deep if members == 1 else _log_odds_of_mean(graph, deep)


def probabilities(graph: Graph, logits_R1: str, calibration: Calibration | None) -> str:
    """-> float32 [R], computed in float64."""
    logit = graph.cast(graph.op("Squeeze", logits_R1, graph.constant([1], I64)), TensorProto.DOUBLE)
    if calibration is not None:
        logit = _calibrated(graph, logit, calibration)
        logit = graph.cast(graph.cast(logit, TensorProto.FLOAT), TensorProto.DOUBLE)  # rounded, as it is served
    return graph.cast(graph.op("Sigmoid", logit), TensorProto.FLOAT)


def _fm(graph: Graph, cells_RFD: str, w0: float, dimension: int) -> str:
    """Rendle's equation, [R, F, D] -> [R, 1]."""
    fields = graph.constant([1], I64)
    sum_RD = graph.op("ReduceSum", cells_RFD, fields, keepdims=0)
    squares_RD = graph.op("ReduceSumSquare", cells_RFD, fields, keepdims=0)
    pairs_RD = graph.op("Sub", graph.op("Mul", sum_RD, sum_RD), squares_RD)
    of_w = [[1.0]] + [[0.0]] * dimension
    of_v = [[0.0]] + [[0.5]] * dimension
    terms_R1 = graph.op(
        "Add",
        graph.op("MatMul", sum_RD, graph.constant(of_w, F32)),
        graph.op("MatMul", pairs_RD, graph.constant(of_v, F32)),
    )
    return graph.op("Add", terms_R1, graph.constant([w0], F32))


def _linears(layers: nn.Sequential, members: int) -> list[Linear]:
    """The layers that multiply, batch norm as a part of them: it follows one, and its statistics no longer change."""
    found: list[Linear] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            before = found.pop()
            own = {name: values for name, values in layer.state_dict().items() if values.ndim}
            of_units = {name: _of_members(values, members) for name, values in own.items()}
            factor = of_units["weight"] / np.sqrt(of_units["running_var"] + layer.eps)
            bias = (before.bias - of_units["running_mean"]) * factor + of_units["bias"]
            found.append(Linear(before.weight * factor[:, :, None], bias))
        elif own := layer.state_dict():
            weight = own["weight"]
            found.append(Linear(_of_members(weight, members, weight.shape[-1]), _of_members(own["bias"], members)))
    return found


def _of_members(values: Tensor, members: int, *last: int) -> Array:
    return np.asarray(values.detach().numpy(), F64).reshape(members, -1, *last)


def _reading_cells(first: Linear, order: tuple[int, ...], dimension: int, w0: float | None) -> Linear:
    """Of inputs [w | v] of each field in this order. `w0`: the first input, where the layers read w; None: v alone."""
    num_members, num_units, _ = first.weight.shape
    own, bias = first.weight, first.bias
    if w0 is not None:
        own, bias = own[:, :, 1:], bias + w0 * own[:, :, 0]
    own = own.reshape(num_members, num_units, len(order), -1)[:, :, list(order)]
    weight = np.zeros((num_members, num_units, len(order), 1 + dimension))
    weight[..., 1 + dimension - own.shape[-1] :] = own
    return Linear(weight.reshape(num_members, num_units, -1), bias)


def _activation(layers: nn.Sequential) -> nn.Module | None:
    return next((layer for layer in layers if isinstance(layer, nn.Sigmoid | nn.Tanh | nn.ReLU | nn.LeakyReLU)), None)


def _layers(graph: Graph, x: str, linears: list[Linear], activation: nn.Module | None) -> str:
    """[R, inputs] -> [R, 1], or of several members [M, R, 1]."""
    for number, (weight, bias) in enumerate(linears):
        factor, shift = weight.swapaxes(1, 2), bias[:, None, :]
        if len(weight) == 1:
            factor, shift = factor[0], shift[0, 0]
        x = graph.op("Add", graph.op("MatMul", x, graph.constant(factor, F32)), graph.constant(shift, F32))
        if number < len(linears) - 1:
            x = _activated(graph, x, activation)
    return x


def _activated(graph: Graph, x: str, activation: nn.Module | None) -> str:
    match activation:
        case nn.Sigmoid():
            return graph.op("Sigmoid", x)
        case nn.Tanh():
            return graph.op("Tanh", x)
        case nn.ReLU():
            return graph.op("Relu", x)
        case nn.LeakyReLU():
            return graph.op("LeakyRelu", x, alpha=activation.negative_slope)
    raise AssertionError(f"no operator for {activation}")


def _log_odds_of_mean(graph: Graph, logits_MR1: str) -> str:
    """As `models.members.served`: log sigmoid(z) is -softplus(-z)."""
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
