"""Ids sorted and grouped by a radix sort that Numba compiles: in a third of the time that torch takes.

Needs numba (`pip install 'nightjar[fused]'`); importing this module does.
"""

import numpy as np
import torch
from numba import uint32, uint64
from numpy.typing import NDArray
from torch import Tensor

from pipeline.embedding.lookup import IdGroups
from pipeline.embedding.simd import kernel

POSITION_BITS = 32

Sorted = NDArray[np.uint64]


@kernel
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


@kernel
def _group(
    ordered: Sorted,
    unique: NDArray[np.int64],
    starts: NDArray[np.int32],
    order: NDArray[np.int32],
    index: NDArray[np.int32],
) -> int:
    """Write the fields of an IdGroups, and return the number of distinct ids, of which two have that many."""
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
    """What `lookup.group_ids` makes; of a CPU."""
    num_positions = len(ids_N)
    ordered = sort(ids_N.numpy(), num_ids)
    unique, starts = np.empty(num_positions, np.int64), np.empty(num_positions, np.int32)
    order, index = np.empty(num_positions, np.int32), np.empty(num_positions, np.int32)
    num_distinct = _group(ordered, unique, starts, order, index)
    starts_U = torch.from_numpy(starts[:num_distinct])
    counts_U = torch.diff(starts_U, append=starts_U.new_full((1,), num_positions)).long()
    unique_U = torch.from_numpy(unique[:num_distinct])
    return IdGroups(unique_U, torch.from_numpy(order), starts_U, torch.from_numpy(index), counts_U)


def by_place(groups: IdGroups) -> Sorted:
    """As `sort` orders the groups' index_N, the places among the distinct ids."""
    places_U = np.arange(len(groups.unique_U), dtype=np.uint64) << np.uint64(POSITION_BITS)
    return places_U.repeat(groups.counts_U.numpy()) | groups.order_N.numpy().astype(np.uint64)
