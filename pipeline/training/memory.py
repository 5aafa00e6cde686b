"""The memory of ranks: whether the nodes have what their tables take, and how a rank goes about its own."""

import ctypes
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import Refusal

FLOAT_BYTES = 4
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
# Torch, Ray, MLflow, a window of rows: what a rank with a tiny table was seen to have to itself. Checkpoints add
# nothing: they are written from the table's own memory and read through mapped files.
PROCESS_BYTES = 400 * 2**20


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What `num_ranks` ranks need, each of them `rank_bytes`, for a table of num_ids x num_floats."""

    num_ids: int
    num_floats: int
    num_ranks: int
    rows_bytes: int
    moments_bytes: int
    accumulators_bytes: int

    @property
    def rank_bytes(self) -> int:
        return self.rows_bytes + self.moments_bytes + self.accumulators_bytes + PROCESS_BYTES

    def __str__(self) -> str:
        moments = f" + {_gb(self.moments_bytes)} of moments" if self.moments_bytes else ""
        return (
            f"a table of {self.num_ids:,} ids x {self.num_floats:,} floats: {_gb(self.rows_bytes)} of rows{moments}"
            f" + {_gb(self.accumulators_bytes)} of accumulators + {_gb(PROCESS_BYTES)} beside them a rank,"
            f" {self.num_ranks} rank{'s' if self.num_ranks != 1 else ''}"
        )


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """All the memory of a node, and the number of ranks that its CPUs and GPUs have room for."""

    name: str
    total_bytes: int
    num_places: int


def need(num_ids: int, dimension: int, num_ranks: int, *, is_sharded: bool, has_moments: bool) -> MemoryNeed:
    """What a table of rows [w | v] needs, whole in each rank or divided; Adam's has a moment for each float."""
    ids_of_rank = -(-num_ids // num_ranks) if is_sharded else num_ids
    rows_bytes = ids_of_rank * (1 + dimension) * FLOAT_BYTES
    moments_bytes = rows_bytes if has_moments else 0
    return MemoryNeed(num_ids, 1 + dimension, num_ranks, rows_bytes, moments_bytes, ids_of_rank * FLOAT_BYTES)


def num_missing(need: MemoryNeed, nodes: Sequence[NodeMemory]) -> int:
    """How many ranks the nodes have no memory for, in whatever way the ranks are placed."""
    with_memory = sum(min(node.num_places, node.total_bytes // need.rank_bytes) for node in nodes)
    return max(0, min(need.num_ranks, sum(node.num_places for node in nodes)) - with_memory)


def check(need: MemoryNeed, nodes: Sequence[NodeMemory]) -> None:
    """Refuse what cannot fit even if the ranks had all the memory of the nodes to themselves; not what is tight."""
    missing = num_missing(need, nodes)
    if missing:
        largest = max(nodes, key=lambda node: node.total_bytes)
        raise Refusal(
            found=f"{need}; no memory for {missing} of them",
            expected=f"{_gb(need.rank_bytes)} for each rank of a node; {largest.name}, the largest of {len(nodes)},"
            f" has {_gb(largest.total_bytes)} in all",
            where="table, cluster.num_workers",
            remedy="a smaller table.dimension, a larger min_count, table.placement=row_sharded over more ranks, or"
            " fewer of them on a node",
        )


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.1f} GB"


def keep_freed() -> None:
    """Have this process keep what it frees for what it allocates next, where the C library is GNU's.

    A step frees and allocates the same tens of megabytes. Given back to the system and taken anew, they came as
    thousands of page faults a step: a sixth of DeepFM's time and a third of FM's.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # as large as it takes: what is larger is still mapped by itself
