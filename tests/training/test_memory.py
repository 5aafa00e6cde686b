import pytest

from pipeline.training import memory
from pipeline.training.memory import PROCESS_BYTES, MemoryNeed, NodeMemory
from schemas.errors import Refusal

GB = 10**9


def need(rank_bytes: int, num_ranks: int) -> MemoryNeed:
    """Of ranks that need so much in all."""
    return MemoryNeed(1000, 17, num_ranks, rank_bytes - PROCESS_BYTES, 0, 0)


@pytest.mark.parametrize(
    ("num_ranks", "is_sharded", "has_moments", "rows", "moments", "accumulators"),
    [
        (1, False, False, 12_000, 0, 4_000),  # 1000 ids x (1 + 2) floats x 4 bytes
        (4, False, False, 12_000, 0, 4_000),
        (4, True, False, 3_000, 0, 1_000),
        (4, True, True, 3_000, 3_000, 1_000),
        (3, True, False, 4_008, 0, 1_336),  # 334 ids in the first of three
    ],
    ids=["one", "replicated", "row-sharded", "moments", "an-uneven-share"],
)
def test_a_rank_holds_its_share_of_rows_moments_and_accumulators(
    num_ranks, is_sharded, has_moments, rows, moments, accumulators
):
    found = memory.need(1000, 2, num_ranks, is_sharded=is_sharded, has_moments=has_moments)
    assert (found.rows_bytes, found.moments_bytes, found.accumulators_bytes) == (rows, moments, accumulators)
    assert found.rank_bytes == rows + moments + accumulators + PROCESS_BYTES


@pytest.mark.parametrize(
    ("rank_gb", "num_ranks", "nodes", "missing"),
    [
        (8, 1, [(8, 4)], 0),
        (9, 1, [(8, 4)], 1),
        (8, 2, [(15, 4)], 1),
        (8, 3, [(15, 4), (17, 4)], 0),
        (8, 4, [(15, 4), (17, 4)], 1),
        (8, 2, [(64, 1), (4, 8)], 1),
        (8, 2, [(64, 1)], 0),
    ],
    ids=[
        "just-fits",
        "just-does-not",
        "ranks-of-a-node-add-up",
        "on-two-nodes",
        "not-even-on-two",
        "no-cpu-where-the-memory-is",
        "what-the-cpus-lack-is-not-the-memory's-fault",
    ],
)
def test_ranks_have_no_memory_only_where_no_placement_gives_them_any(rank_gb, num_ranks, nodes, missing):
    of_cluster = [NodeMemory(f"node {i}", gb * GB, places) for i, (gb, places) in enumerate(nodes)]
    assert memory.num_missing(need(rank_gb * GB, num_ranks), of_cluster) == missing


def test_a_table_that_cannot_fit_is_refused_with_its_sum():
    large = memory.need(400_000_000, 16, 2, is_sharded=False, has_moments=True)
    with pytest.raises(Refusal) as refused:
        memory.check(large, [NodeMemory("10.0.0.1", 16 * GB, 4), NodeMemory("10.0.0.2", 64 * GB, 1)])
    assert refused.value.found == (
        "a table of 400,000,000 ids x 17 floats: 27.2 GB of rows + 27.2 GB of moments + 1.6 GB of accumulators"
        " + 0.4 GB beside them a rank, 2 ranks; no memory for 1 of them"
    )
    assert refused.value.expected == ("56.4 GB for each rank of a node; 10.0.0.2, the largest of 2, has 64.0 GB in all")
    memory.check(large, [NodeMemory("10.0.0.1", 128 * GB, 2)])
