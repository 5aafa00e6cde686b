"""The cells of a batch as kernels compiled by Numba read them."""

from typing import Any, NamedTuple

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.embedding.simd import inlined, kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Cells(NamedTuple):
    """The cells of a batch."""

    index_N: Ints
    """The row of each active id."""
    weights_N: Floats | None
    """x_i of each. None: all 1."""
    offsets_C: Ints | None
    """Where each cell's ids start. None: each has one."""
    terms_N: Ints | None
    """Which term each id's gradient has. None: that of its row of the batch."""
    num_fields: int
    num_rows: int
    num_terms: int
    """As many as rows, for cells of one id; then one for each cell of several."""


class Labels(NamedTuple):
    """What the rows of a batch are to be scored as, and how much each counts in the loss."""

    labels_B: Floats
    row_weights_B: Floats


def cells_of(batch: Batch, index_N: Tensor) -> Cells:
    """`index_N` int32: which of the rows that are to be read each id of the batch names."""
    weights_N = None if batch.weights_N is None else batch.weights_N.numpy()
    num_rows = batch.num_rows
    if batch.offsets_C is None:
        return Cells(index_N.numpy(), weights_N, None, None, batch.num_fields, num_rows, num_rows)
    offsets_C, terms_N = batch.offsets_C.numpy(), np.empty(len(index_N), np.int32)
    num_terms = _number_terms(offsets_C, batch.num_fields, terms_N)
    return Cells(index_N.numpy(), weights_N, offsets_C, terms_N, batch.num_fields, num_rows, num_terms)


def labels_of(batch: Batch) -> Labels:
    labels = batch.labels_B.numpy()
    return Labels(labels, np.ones_like(labels) if batch.row_weights_B is None else batch.row_weights_B.numpy())


@kernel
def _number_terms(offsets_C: Ints, num_fields: int, terms_N: Ints) -> Any:
    num_terms = uint64(len(offsets_C)) // uint64(num_fields)
    for cell in range(uint64(len(offsets_C))):
        start, stop = start_of(offsets_C, cell, terms_N), start_of(offsets_C, cell + uint64(1), terms_N)
        if stop - start == uint64(1):
            terms_N[start] = cell // uint64(num_fields)
        elif stop > start:
            terms_N[start:stop] = num_terms
            num_terms += uint64(1)
    return num_terms


@inlined
def start_of(offsets_C, cell, ids_N):
    """Where in ids_N a cell's ids start; also of the cell after the last."""
    if offsets_C is None:
        return cell
    return uint64(offsets_C[cell]) if cell < uint64(len(offsets_C)) else uint64(len(ids_N))


@inlined
def term_of(terms_N, position, num_fields):
    """`position` is a uint32, which divides in half the time."""
    return uint64(position // uint32(num_fields)) if terms_N is None else uint64(terms_N[uint64(position)])


@inlined
def weight_at(weights, position):
    return np.float32(1.0) if weights is None else weights[position]
