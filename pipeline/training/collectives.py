"""What ranks tell each other beside a step."""

from functools import reduce
from typing import TypeVar

import torch.distributed as dist

from pipeline.evaluation.row_sums import RowSums

T = TypeVar("T")


def add_up(sums: RowSums) -> RowSums:
    """The sums of all ranks, on every rank; added in the order of ranks."""
    return reduce(lambda total, one: total + one, gather([sums]))


def gather(own: list[T]) -> list[T]:
    """The elements of all ranks' lists, on every rank, in the order of ranks."""
    if not dist.is_initialized():
        return own
    lists: list[list[T] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(lists, own)
    return [element for one in lists for element in one or []]
