"""What ranks add up at the end of a stage."""

from functools import reduce

import torch.distributed as dist

from pipeline.evaluation.metrics import Sums


def add_up(sums: Sums) -> Sums:
    """The sums of all ranks, on every rank; added in the order of ranks."""
    if not dist.is_initialized():
        return sums
    gathered: list[Sums | None] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, sums)
    return reduce(lambda total, one: total + one, [one for one in gathered if one is not None])
