"""An exact minibatch step of a factorization machine on a CPU: kernels that Numba compiles.

They are `FM` in closed form, the gradient of its loss and the table's row-wise Adagrad without a tensor in between. The
torch path writes and reads a batch's rows several times over; these read a row to score with, and once more to update
it. What they wait for is memory, so they ask for rows well before they need them.

With e_f the sum of x v over the ids of cell f, s that of the e_f, and dz the derivative of the loss by the logit, the
gradient of an id's row is the sum over its occurrences of x dz [1 | s - e_f] (Rendle 2010, eq. 4). Where the cell holds
no other id, e_f is x v: the sum of x dz [1 | s], less that of x^2 dz times [0 | v], is the same. So few terms are to be
added up: one a row of the batch, and one for each cell of several ids.

Needs numba (`pip install 'nightjar[fused]'`); importing this module does.
"""

from math import exp, log1p
from typing import Any, NamedTuple

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray
from torch import Tensor

from pipeline.embedding.cells import Cells, Floats, Ints, Labels, start_of, term_of, weight_at
from pipeline.embedding.lookup import IdGroups
from pipeline.embedding.radix import POSITION_BITS, Sorted
from pipeline.embedding.simd import Rows, inlined, kernel, load, prefetch, rows_of, store, total, zeros
from pipeline.embedding.table import Table
from schemas.optimization import EmbeddingConfig

PREFETCH_POSITIONS = 48


class Model(NamedTuple):
    """What an FM has beside its rows, and how its loss is taken."""

    w0: float
    scale: np.float32
    """Times the stored rows."""
    offset: float
    """Added to the logits in the loss."""
    rank_batch_size: int
    """What the loss is divided by, before its gradient is taken."""


class Sums(NamedTuple):
    """Over the rows of a batch."""

    log_loss: float
    weight: float
    clicks: float
    dz: float


class Adagrad(NamedTuple):
    """A step of row-wise Adagrad; see `Table.update`."""

    learning_rate: np.float32
    epsilon: np.float32
    l2: np.float32
    clip_ratio: np.float32
    clip_floor: np.float32
    """Infinite: gradients are not clipped."""
    scale: np.float32
    """Times the stored rows."""
    decay: np.float32
    """What weight decay multiplies all rows by: those that the step leaves alone, by their scale."""

    @classmethod
    def of(cls, config: EmbeddingConfig, learning_rate: float, scale: float, decay: float) -> "Adagrad":
        ratio, floor = (config.clip.ratio, config.clip.floor) if config.clip else (0.0, np.inf)
        return cls(*map(np.float32, (learning_rate, config.epsilon, config.l2, ratio, floor, scale, decay)))


class Groups(NamedTuple):
    """IdGroups, of rows."""

    unique_U: NDArray[np.int64]
    starts_U: Ints
    order_N: Ints
    counts_U: NDArray[np.int64]


def update_by_sums(
    table: Table, groups: IdGroups, gradients_RD: Tensor, share: float, config: EmbeddingConfig, rate: float
) -> None:
    """What `Table.update` does with the sums of gradients over the groups, times `share`; of Adagrad, on a CPU."""
    parts = (groups.unique_U, groups.starts_U, groups.order_N, groups.counts_U)
    decay = 1 - rate * config.weight_decay
    collect(
        rows_of(table.rows.numpy()),
        table.accumulators.numpy(),
        Groups(*(part.numpy() for part in parts)),
        rows_of(gradients_RD.numpy()),
        np.float32(share),
        Adagrad.of(config, rate, table.scale, decay),
    )
    table.decay(decay)


def score(rows: Rows, cells: Cells, labels: Labels, model: Model) -> tuple[Rows, Sums]:
    """The terms of the gradient, [dz | dz s] and [dz | dz (s - e_f)], and what the batch adds up to."""
    terms = rows_of(np.empty((cells.num_terms, rows.itemsize // 4), np.float32))
    return terms, Sums(*_score(rows, cells, labels, model, terms))


@kernel
def update(rows: Rows, accumulators: Floats, ordered: Sorted, cells: Cells, terms: Rows, rule: Adagrad) -> None:
    """Step the rows that a batch names, `ordered` being its index_N with their positions."""
    num_positions, place = uint64(len(ordered)), uint64(0)
    while place < num_positions:
        ahead = place + uint64(PREFETCH_POSITIONS)
        if ahead < num_positions:
            row_ahead = ordered[ahead] >> uint64(POSITION_BITS)
            prefetch(rows, row_ahead)
            prefetch(accumulators, row_ahead)
        first, row = place, ordered[place] >> uint64(POSITION_BITS)
        w, v = rule.scale * rows[row].w, rule.scale * load(rows, row)
        place, grad_w, grad_v = _gradient(ordered, first, cells, terms, v)
        _descend(rows, accumulators, row, (w, v), (grad_w, grad_v, place - first), rule)


@kernel
def differentiate(rows: Rows, ordered: Sorted, cells: Cells, terms: Rows, gradients: Rows) -> None:
    """Write the gradients of the rows that a batch names, which are to be all that there are."""
    place = uint64(0)
    while place < uint64(len(ordered)):
        row = ordered[place] >> uint64(POSITION_BITS)
        place, grad_w, grad_v = _gradient(ordered, place, cells, terms, load(rows, row))
        gradients[row].w = grad_w
        store(gradients, row, grad_v)


@kernel
def collect(
    rows: Rows, accumulators: Floats, groups: Groups, gradients: Rows, share: np.float32, rule: Adagrad
) -> None:
    """Step the rows of the groups, of each of which the gradient is `share` of the sum of its occurrences'."""
    num_distinct = uint64(len(groups.unique_U))
    for distinct in range(num_distinct):
        ahead = distinct + uint64(PREFETCH_POSITIONS)
        if ahead < num_distinct:
            prefetch(rows, uint64(groups.unique_U[ahead]))
            prefetch(accumulators, uint64(groups.unique_U[ahead]))
        row, place = uint64(groups.unique_U[distinct]), uint64(groups.starts_U[distinct])
        w, v = rule.scale * rows[row].w, rule.scale * load(rows, row)
        grad_w, grad_v = np.float32(0.0), zeros(gradients)
        while place < start_of(groups.starts_U, distinct + uint64(1), groups.order_N):
            position = uint64(groups.order_N[place])
            grad_w, grad_v = grad_w + share * gradients[position].w, grad_v + share * load(gradients, position)
            place += uint64(1)
        _descend(rows, accumulators, row, (w, v), (grad_w, grad_v, groups.counts_U[distinct]), rule)


@inlined
def _gradient(ordered, place, cells, terms, v):
    """Where the occurrences of the row end that begin at `place`, and its gradient."""
    row = ordered[place] >> uint64(POSITION_BITS)
    grad_w, grad_v, squares = np.float32(0.0), zeros(terms), np.float32(0.0)
    while place < uint64(len(ordered)) and ordered[place] >> uint64(POSITION_BITS) == row:
        position = uint32(ordered[place])
        term, x = term_of(cells.terms_N, position, cells.num_fields), weight_at(cells.weights_N, uint64(position))
        x_dz = x * terms[term].w
        grad_w, grad_v = grad_w + x_dz, grad_v + x * load(terms, term)
        if cells.terms_N is None or term < uint64(cells.num_rows):
            squares += x * x_dz
        place += uint64(1)
    return place, grad_w, grad_v - squares * v


@inlined
def _descend(rows, accumulators, row, values, gradient, rule):
    """Step the row from the values (w, v) by the gradient (of w, of v, of how many occurrences it is the sum)."""
    w, v = values
    grad_w, grad_v, count = gradient
    if rule.clip_floor < np.float32(np.inf):
        length = np.sqrt(grad_w * grad_w + total(grad_v * grad_v))
        bound = np.float32(count) * max(rule.clip_ratio * np.sqrt(w * w + total(v * v)), rule.clip_floor)
        if length > bound:
            grad_w, grad_v = bound / length * grad_w, bound / length * grad_v
    grad_w, grad_v = grad_w + rule.l2 * w, grad_v + rule.l2 * v
    accumulator = accumulators[row] + (grad_w * grad_w + total(grad_v * grad_v)) / np.float32(rows.itemsize // 4)
    accumulators[row] = accumulator
    step = rule.learning_rate / (np.sqrt(accumulator) + rule.epsilon)
    stored = np.float32(1.0) / (rule.scale * rule.decay)
    rows[row].w = stored * (rule.decay * w - step * grad_w)
    store(rows, row, stored * (rule.decay * v - step * grad_v))


@kernel
def _score(rows: Rows, cells: Cells, labels: Labels, model: Model, terms: Rows) -> tuple[Any, Any, Any, Any]:
    sum_loss, sum_weights, sum_clicks, sum_dz = 0.0, 0.0, 0.0, 0.0
    num_rows, num_terms, cell = uint64(cells.num_rows), uint64(cells.num_rows), uint64(0)
    for row in range(num_rows):
        linear, s, squares, first_term = np.float32(model.w0), zeros(rows), zeros(rows), num_terms
        for _ in range(cells.num_fields):
            length, w, e = _cell(rows, cells, cell, model.scale)
            linear, s, squares = linear + w, s + e, squares + e * e
            if length > uint64(1):
                store(terms, num_terms, e)
                num_terms += uint64(1)
            cell += uint64(1)
        label, weight = labels.labels_B[row], labels.row_weights_B[row]
        loss, excess = _log_loss(linear + np.float32(0.5) * total(s * s - squares) + model.offset, label)
        dz = np.float32(weight * excess / model.rank_batch_size)
        terms[row].w = dz
        store(terms, row, dz * s)
        for term in range(first_term, num_terms):
            terms[term].w = dz
            store(terms, term, dz * (s - load(terms, term)))
        sum_loss, sum_weights = sum_loss + weight * loss, sum_weights + weight
        sum_clicks, sum_dz = sum_clicks + weight * label, sum_dz + float(dz)
    return sum_loss, sum_weights, sum_clicks, sum_dz


@inlined
def _log_loss(logit, label):
    """And its derivative, p - label."""
    odds = exp(-abs(logit))
    p = (1.0 if logit >= 0 else odds) / (1.0 + odds)
    return max(logit, 0.0) - logit * label + log1p(odds), p - label


@inlined
def _cell(rows, cells, cell, scale):
    """How many ids it holds, which mostly is one, and the sums of x w and x v over them."""
    start, stop = (
        start_of(cells.offsets_C, cell, cells.index_N),
        start_of(cells.offsets_C, cell + uint64(1), cells.index_N),
    )
    if start == stop:
        return uint64(0), np.float32(0.0), zeros(rows)
    w, v = _row(rows, cells, start, scale)
    for position in range(start + uint64(1), stop):
        another_w, another_v = _row(rows, cells, position, scale)
        w, v = w + another_w, v + another_v
    return stop - start, w, v


@inlined
def _row(rows, cells, position, scale):
    """X w and x v of an id."""
    ahead = position + uint64(PREFETCH_POSITIONS)
    if ahead < uint64(len(cells.index_N)):
        prefetch(rows, uint64(cells.index_N[ahead]))
    row, x = uint64(cells.index_N[position]), scale * weight_at(cells.weights_N, position)
    return x * rows[row].w, x * load(rows, row)
