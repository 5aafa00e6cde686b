"""What ranks tell each other: the gradients of the rows they touched, and the sums of what they scored."""

from functools import reduce

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.evaluation.metrics import Sums
from pipeline.models.table import merge


def gather_rows(ids_U: Tensor, grads_UD: Tensor) -> tuple[Tensor, Tensor]:
    """All ranks' touched rows, each id once, with the mean over ranks of its gradient: alike on every rank.

    Ranks touch different numbers of rows; the collectives want equal ones, so all are padded to the longest.
    """
    num_ranks = dist.get_world_size()
    sizes = [torch.zeros(1, dtype=torch.int64, device=ids_U.device) for _ in range(num_ranks)]
    dist.all_gather(sizes, torch.tensor([len(ids_U)], device=ids_U.device))
    longest = max(int(size) for size in sizes)
    ids = [ids_U.new_empty(longest) for _ in range(num_ranks)]
    grads = [grads_UD.new_empty(longest, grads_UD.shape[1]) for _ in range(num_ranks)]
    dist.all_gather(ids, _padded(ids_U, longest))
    dist.all_gather(grads, _padded(grads_UD, longest))
    of_all = [(one[:size], grad[:size]) for one, grad, size in zip(ids, grads, map(int, sizes), strict=True)]
    merged_ids, summed = merge([one for one, _ in of_all], [grad for _, grad in of_all])
    return merged_ids, summed / num_ranks


def add_up(sums: Sums) -> Sums:
    """The sums of all ranks, on every rank; added in the order of ranks."""
    if not dist.is_initialized():
        return sums
    gathered: list[Sums | None] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, sums)
    return reduce(lambda total, one: total + one, [one for one in gathered if one is not None])


def _padded(values: Tensor, length: int) -> Tensor:
    return torch.cat([values, values.new_zeros(length - len(values), *values.shape[1:])])
