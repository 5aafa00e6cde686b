"""The models' equations: from cells to logits, of one output or of several classes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.export.cells import Cells
from pipeline.export.graph import Graph
from pipeline.models import CTRModel
from pipeline.models.deepfm import DeepFM
from pipeline.models.dnn import DNN
from pipeline.models.fm import FM
from pipeline.models.fnn import FNN

I64, F32, F64 = np.int64, np.float32, np.float64
Array = NDArray[np.float64]


class Linear(NamedTuple):
    """x -> weight x + bias, of M members: [M, units, inputs] and [M, units]."""

    weight: Array
    bias: Array


def logits(graph: Graph, model: CTRModel, cells: Cells, dimension: int, members: int) -> str:
    """[R, F, D] -> logits [R, C], or [M, R, C] of several members; C is 1 but of classes."""
    if not isinstance(model, DNN | FNN | DeepFM):
        return _fm(graph, cells.value, model, dimension)
    layers = model.mlp.layers
    linears = _linears(layers, members)
    w0_C = None if isinstance(model, DeepFM) else _array(model.w0).reshape(-1)
    linears[0] = _reading_cells(linears[0], cells.order, dimension, w0_C)
    flat_RX = graph.op("Reshape", cells.value, graph.constant([0, len(cells.order) * (1 + dimension)], I64))
    deep = _layers(graph, flat_RX, linears, _activation(layers))
    if isinstance(model, DeepFM):
        deep = graph.op("Add", deep, _fm(graph, cells.value, model, dimension))
    return deep


def _fm(graph: Graph, cells_RFD: str, model: FM, dimension: int) -> str:
    """Rendle's equation, or what `ClassTerms` has of each class.  [R, F, D] -> [R, C]"""
    fields = graph.constant([1], I64)
    sum_RD = graph.op("ReduceSum", cells_RFD, fields, keepdims=0)
    squares_RD = graph.op("ReduceSumSquare", cells_RFD, fields, keepdims=0)
    pairs_RD = graph.op("Sub", graph.op("Mul", sum_RD, sum_RD), squares_RD)
    if model.classes is None:
        of_sums_DC, of_pairs_KC = np.eye(1 + dimension, 1), np.ones((dimension, 1))
    else:
        of_sums_DC, of_pairs_KC = np.split(_array(model.classes.weight).T, [1 + dimension])
    of_pairs_DC = np.concatenate([np.zeros_like(of_sums_DC[:1]), 0.5 * of_pairs_KC])
    terms_RC = graph.op(
        "Add",
        graph.op("MatMul", sum_RD, graph.constant(of_sums_DC, F32)),
        graph.op("MatMul", pairs_RD, graph.constant(of_pairs_DC, F32)),
    )
    return graph.op("Add", terms_RC, graph.constant(_array(model.w0).reshape(-1), F32))


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
    return _array(values).reshape(members, -1, *last)


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().numpy(), F64)


def _reading_cells(first: Linear, order: tuple[int, ...], dimension: int, w0_C: Array | None) -> Linear:
    """Of inputs [w | v] of each field in this order. `w0_C`: the first inputs, where layers read w; None: v alone."""
    num_members, num_units, _ = first.weight.shape
    own, bias = first.weight, first.bias
    if w0_C is not None:
        own, bias = own[:, :, len(w0_C) :], bias + own[:, :, : len(w0_C)] @ w0_C
    own = own.reshape(num_members, num_units, len(order), -1)[:, :, list(order)]
    weight = np.zeros((num_members, num_units, len(order), 1 + dimension))
    weight[..., 1 + dimension - own.shape[-1] :] = own
    return Linear(weight.reshape(num_members, num_units, -1), bias)


def _activation(layers: nn.Sequential) -> nn.Module | None:
    return next((layer for layer in layers if isinstance(layer, nn.Sigmoid | nn.Tanh | nn.ReLU | nn.LeakyReLU)), None)


def _layers(graph: Graph, x: str, linears: list[Linear], activation: nn.Module | None) -> str:
    """[R, inputs] -> [R, C], or of several members [M, R, C]."""
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
