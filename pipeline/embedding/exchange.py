"""What ranks tell each other of rows, of which each has another number: torch's collectives want equal ones."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def gather_sizes(size: int, group: dist.ProcessGroup | None = None) -> tuple[int, ...]:
    """Each rank's `size`."""
    sizes = [torch.empty(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([size]), group=group)
    return tuple(int(one) for one in sizes)


def gather(values: Tensor, sizes: Sequence[int], group: dist.ProcessGroup | None = None) -> list[Tensor]:
    """Each rank's `values` [size, ...], in the order of ranks."""
    padded = values.new_zeros(max(sizes), *values.shape[1:])
    padded[: len(values)] = values
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather([_bytes(of_rank) for of_rank in gathered], _bytes(padded), group=group)
    return [of_rank[:size] for of_rank, size in zip(gathered, sizes, strict=True)]


def all_to_all_sizes(sent: Sequence[int], group: dist.ProcessGroup | None = None) -> tuple[int, ...]:
    """How much each rank sends here, where sent[i] goes to rank i."""
    received = torch.empty(len(sent), dtype=torch.int64)
    dist.all_to_all_single(received, torch.tensor(sent), group=group)
    return tuple(int(size) for size in received)


def all_to_all(
    values: Tensor, sent: Sequence[int], received: Sequence[int], group: dist.ProcessGroup | None = None
) -> Tensor:
    """The first sent[0] of `values` [sum(sent), X] go to rank 0, the next to rank 1, ...; returns what comes here."""
    result = values.new_empty(sum(received), values.shape[1])
    dist.all_to_all_single(_bytes(result), _bytes(values), list(received), list(sent), group=group)
    return result


def _bytes(values: Tensor) -> Tensor:
    """gloo has no collective of bfloat16; bytes are bytes."""
    return values.view(torch.uint8)
