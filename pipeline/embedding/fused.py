"""An exact minibatch step of a factorization machine on a CPU: three kernels, compiled by Numba.

They are `FM` in closed form, the gradient of its loss and the table's row-wise Adagrad without a tensor in between. The
torch path writes and reads a batch's rows several times over; these read a row to score with, and once more to update
it. What they wait for is memory, so they ask for rows well before they need them.

Needs numba (`pip install 'nightjar[fused]'`); importing this module does.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numba import njit, uint32, uint64
from numpy.typing import NDArray
from torch import Tensor

from pipeline.embedding.lookup import IdGroups
from pipeline.embedding.simd import REORDER, prefetch, vectors

PREFETCH_POSITIONS = 48
POSITION_BITS = 32

Floats = NDArray[np.float32]
Sorted = NDArray[np.uint64]


@njit(nogil=True, cache=True)
def sort(ids: NDArray[np.int32], num_ids: int) -> Sorted:
    """[N] ids below num_ids -> [N] id * 2^32 + position, ascending: by a radix sort of two digits."""
    digit_bits = 1
    while (1 << (2 * digit_bits)) < num_ids:
        digit_bits += 1
    shift, mask = uint64(digit_bits), uint64((1 << digit_bits) - 1)
    lows, highs = np.zeros(1 << digit_bits, np.uint32), np.zeros(1 << digit_bits, np.uint32)
    num_positions = uint64(len(ids))
    for position in range(num_positions):
        value = uint64(ids[position])
        lows[value & mask] += uint32(1)
        highs[value >> shift] += uint32(1)
    low, high = uint32(0), uint32(0)
    for digit in range(1 << digit_bits):
        lows[digit], low = low, low + lows[digit]
        highs[digit], high = high, high + highs[digit]
    by_low = np.empty(len(ids), np.uint64)
    for position in range(num_positions):
        value = uint64(ids[position])
        place = lows[value & mask]
        lows[value & mask] = place + uint32(1)
        by_low[place] = (value << uint64(POSITION_BITS)) | uint64(position)
    result = np.empty(len(ids), np.uint64)
    for index in range(num_positions):
        digit = by_low[index] >> (uint64(POSITION_BITS) + shift)
        place = highs[digit]
        highs[digit] = place + uint32(1)
        result[place] = by_low[index]
    return result


@njit(nogil=True, cache=True)
def group(
    ordered: Sorted,
    unique: NDArray[np.int64],
    starts: NDArray[np.int32],
    order: NDArray[np.int32],
    index: NDArray[np.int32],
) -> int:
    """Write the fields of a `lookup.IdGroups`, and return the number of distinct ids, of which two have that many."""
    num_distinct: int = uint64(0)
    for place in range(uint64(len(ordered))):
        value, position = ordered[place] >> uint64(POSITION_BITS), uint64(uint32(ordered[place]))
        if num_distinct == 0 or unique[num_distinct - uint64(1)] != value:
            unique[num_distinct], starts[num_distinct] = value, place
            num_distinct += uint64(1)
        order[place] = position
        index[position] = num_distinct - uint64(1)
    return num_distinct


def group_ids(ids_N: Tensor, num_ids: int) -> IdGroups:
    """What `lookup.group_ids` makes, in a third of the time; of a CPU."""
    num_positions = len(ids_N)
    ordered = sort(ids_N.numpy(), num_ids)
    unique, starts = np.empty(num_positions, np.int64), np.empty(num_positions, np.int32)
    order, index = np.empty(num_positions, np.int32), np.empty(num_positions, np.int32)
    num_distinct = group(ordered, unique, starts, order, index)
    starts_U = torch.from_numpy(starts[:num_distinct])
    counts_U = torch.diff(starts_U, append=starts_U.new_full((1,), num_positions)).long()
    unique_U = torch.from_numpy(unique[:num_distinct])
    return IdGroups(unique_U, torch.from_numpy(order), starts_U, torch.from_numpy(index), counts_U)


class Gradient(NamedTuple):
    """What the gradient of a batch's rows is made of."""

    s_BK: Floats
    """Sum over f of x v, as `score` writes it."""
    dz_B: Floats
    """The derivative of the loss by each logit."""


class Adagrad(NamedTuple):
    """A step of row-wise Adagrad."""

    learning_rate: float
    epsilon: float
    l2: float


class Kernels(NamedTuple):
    """For rows of one length 1 + K. `weights` are x_i of each position, or None where all are 1."""

    score: Callable[[Floats, NDArray[np.int32], Floats | None, float, Floats, Floats], None]
    """(rows_nD, ids_N, weights_N, w0, s_BK, logits_B) writes the last two: sum over f of x v, and the logits."""
    update: Callable[[Floats, Floats, Sorted, Floats | None, Gradient, Adagrad], None]
    """(rows_nD, accumulators_n, sorted_N, weights_N, gradient, adagrad)"""


@cache
def kernels(dimension: int) -> Kernels:
    """Compiled at their first call, in seconds, and kept on disk."""
    load, store, full, add, subtract, multiply, total = vectors(dimension)
    num_floats = np.float32(1 + dimension)
    half, one = np.float32(0.5), np.float32(1.0)

    @njit(nogil=True, cache=True, error_model="numpy", fastmath=set(REORDER))
    def score(rows, ids, weights, w0, sums, logits):
        num_positions, fields = uint64(len(ids)), uint64(len(ids) // max(1, len(logits)))
        for example in range(uint64(len(logits))):
            linear = np.float32(w0)
            sum_v, sum_squares = full(np.float32(0.0)), full(np.float32(0.0))
            for position in range(example * fields, (example + uint64(1)) * fields):
                ahead = position + uint64(PREFETCH_POSITIONS)
                if ahead < num_positions:
                    prefetch(rows, ids[ahead])
                row = uint64(ids[position])
                x = one if weights is None else weights[position]
                linear += x * rows[row, 0]
                v = multiply(full(x), load(rows, row, 1))
                sum_v, sum_squares = add(sum_v, v), add(sum_squares, multiply(v, v))
            store(sums, example, 0, sum_v)
            logits[example] = linear + half * total(subtract(multiply(sum_v, sum_v), sum_squares))

    @njit(nogil=True, cache=True, error_model="numpy", fastmath=set(REORDER))
    def update(rows, accumulators, ordered, weights, gradient, adagrad):
        sums, dz = gradient.s_BK, gradient.dz_B
        rate, epsilon, l2 = adagrad.learning_rate, adagrad.epsilon, adagrad.l2
        num_positions, fields = uint64(len(ordered)), uint32(len(ordered) // max(1, len(dz)))
        index = uint64(0)
        while index < num_positions:
            ahead = index + uint64(PREFETCH_POSITIONS)
            if ahead < num_positions:
                row_ahead = ordered[ahead] >> uint64(POSITION_BITS)
                prefetch(rows, row_ahead)
                prefetch(accumulators, row_ahead)
            # Over the row's occurrences: the sums of dz x and dz x s, less that of dz x^2 times v, are its gradient.
            row = ordered[index] >> uint64(POSITION_BITS)
            grad_w, grad_v, sum_squares = np.float32(0.0), full(np.float32(0.0)), np.float32(0.0)
            while index < num_positions and ordered[index] >> uint64(POSITION_BITS) == row:
                position = uint32(ordered[index])
                example = uint64(position // fields)
                x = one if weights is None else weights[uint64(position)]
                dz_x = dz[example] * x
                grad_w += dz_x
                sum_squares += dz_x * x
                grad_v = add(grad_v, multiply(full(dz_x), load(sums, example, 0)))
                index += uint64(1)
            w, v = rows[row, 0], load(rows, row, 1)
            grad_w += np.float32(l2) * w
            grad_v = add(grad_v, multiply(full(np.float32(l2) - sum_squares), v))
            accumulator = accumulators[row] + (grad_w * grad_w + total(multiply(grad_v, grad_v))) / num_floats
            accumulators[row] = accumulator
            step = np.float32(rate) / (np.sqrt(accumulator) + np.float32(epsilon))
            rows[row, 0] = w - step * grad_w
            store(rows, row, 1, subtract(v, multiply(full(step), grad_v)))

    return Kernels(score, update)
