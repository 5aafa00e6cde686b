"""Which nodes have room for ranks and their reader, by a table of clusters that one can pack in one's head."""

from collections.abc import Sequence

import pytest

from pipeline.runtime.load import NodeLoad
from pipeline.training.on_ray import allocation
from pipeline.training.on_ray.allocation import Need, pack
from schemas.config import ClusterConfig, WorkerRange
from schemas.errors import Refusal


def nodes(*free: float | tuple[float, float]) -> list[NodeLoad]:
    """Named a, b, c: CPUs alone, or with GPUs; nobody holds anything."""
    pairs = [one if isinstance(one, tuple) else (one, 0.0) for one in free]
    have = [{"CPU": cpus, "GPU": gpus} for cpus, gpus in pairs]
    return [NodeLoad(name, f"10.0.0.{name}", each, each) for name, each in zip("abcdefghij", have, strict=False)]


def need(num_workers: int | tuple[int, int], cpus: float = 1.0, use_gpu: bool = False) -> Need:
    count = WorkerRange(min=num_workers[0], max=num_workers[1]) if isinstance(num_workers, tuple) else num_workers
    return Need.of(ClusterConfig(num_workers=count, cpus_per_worker=cpus, use_gpu=use_gpu))


@pytest.mark.parametrize(
    ("free", "needed", "num_ranks"),
    [
        ([2, 2], need(2), 2),  # whichever node reads has a CPU less
        ([2, 2, 1], need(3), 3),
        ([2, 2], need(3), 3),
        ([4], need(3), 3),
        ([8, 8], need(2, cpus=3), 2),
        ([3, 3, 1], need(2, cpus=3), 2),
        ([2.5, 1.5], need(2, cpus=1.5), 2),
        ([1, 1], need(2, cpus=0.3), 2),
        ([(1, 4), (8, 0)], need(1, use_gpu=True), 1),
        ([(3, 2), (2, 2)], need(4, use_gpu=True), 4),
        ([1], need(0), 0),
        ([1, 1, 1], need((1, 3)), 2),
        ([2, 1], need((1, 8)), 2),
    ],
)
def test_ranks_go_where_there_is_room_for_them_and_the_reader(
    free: Sequence[float], needed: Need, num_ranks: int
) -> None:
    placed = pack(nodes(*free), needed)
    assert placed.why_not == ""
    assert placed.num_ranks == num_ranks
    room = {node.id: node for node in nodes(*free)}
    assert placed.reader is not None
    room[placed.reader] = room[placed.reader].without({"CPU": allocation.READER_CPUS})
    for name, count in placed.ranks.items():
        assert room[name].has({kind: amount * count for kind, amount in needed.rank.items()})


@pytest.mark.parametrize(
    ("free", "needed", "why_not"),
    [
        ([2, 2], need(1, cpus=3), "room for 0 of 1 ranks; 10.0.0.a has 2 of 2 CPUs free, 10.0.0.b has"),
        ([2, 2], need(2, cpus=1.5), "room for 1 of 2 ranks beside the CPU that reads data; "),
        ([2, 2], need(4), "room for 3 of 4 ranks beside the CPU that reads data; "),
        ([1.5, 1.5], need(3, cpus=1), "room for 1 of 3 ranks; "),
        ([0.5, 0.5], need(1, cpus=0.5), "no node has 1 CPU free to read data; "),
        ([(8, 1)], need(2, use_gpu=True), "room for 1 of 2 ranks; 10.0.0.a has 8 of 8 CPUs free and 1 of 1 GPUs free"),
        ([(1, 2)], need(1, use_gpu=True), "room for 0 of 1 ranks beside the CPU that reads data; "),
        ([], need(1), "no node has 1 CPU free to read data; no node is there"),
        ([1], need((1, 3)), "room for 0 of 1 ranks beside the CPU that reads data; "),
        ([1] * 8, need(9), "2 more with fewer"),
    ],
)
def test_it_says_why_there_is_no_room(free: Sequence[float], needed: Need, why_not: str) -> None:
    assert why_not in pack(nodes(*free), needed).why_not


def test_what_other_jobs_hold_is_not_free_and_may_be_waited_for() -> None:
    a, b = nodes(2, 2)
    held = [a.without({"CPU": 1}), b]
    with pytest.raises(Refusal, match=r"room for 2 of 3 ranks .* 10\.0\.0\.a has 1 of 2 CPUs free") as refused:
        allocation.check(held, need(3))
    assert "cluster.wait_seconds" in refused.value.remedy
    assert refused.value.expected == "3 x 1 CPU, each on one node, and beside them 1 CPU on one node to read data"
    with pytest.raises(Refusal) as refused:
        allocation.check(held, need(4))
    assert "add nodes" in refused.value.remedy
    allocation.check(held, need(2))


@pytest.mark.parametrize(
    ("free", "counts", "num_held", "num_ranks"),
    [
        ([1, 1, 1], (1, 2, 3), 0, 2),  # one is left to the reader
        ([1, 1], (1, 2, 3), 0, 1),  # after a loss
        ([1, 1], (2,), 0, 0),
        ([4, 4], (1, 2, 4, 8), 0, 4),  # 3, 5, 6 and 7 do not divide the batches
        ([1], (1, 2), 0, 0),
        ([], (1, 2), 0, 0),
    ],
)
def test_the_largest_allowed_number_of_ranks_goes_on_that_leaves_the_reader_a_cpu(
    free: Sequence[float], counts: Sequence[int], num_held: int, num_ranks: int
) -> None:
    assert allocation.num_ranks(nodes(*free), need((1, 8)), counts, num_held) == num_ranks


def test_more_ranks_go_on_when_a_node_comes_whatever_the_reader_holds_now() -> None:
    a, b, c = nodes(1, 1, 1)
    held = [node.without({"CPU": 1}) for node in (a, b)]  # by a rank and by the reader
    assert allocation.num_ranks(held, need((1, 2)), (1, 2), num_held=1) == 1
    assert allocation.num_ranks([*held, c], need((1, 2)), (1, 2), num_held=1) == 2


def test_what_other_jobs_hold_is_not_taken_by_ranks() -> None:
    held = [node.without({"CPU": 2}) for node in nodes(2, 2)]
    assert allocation.num_ranks(held, need((1, 3)), (1, 2, 3)) == 0
