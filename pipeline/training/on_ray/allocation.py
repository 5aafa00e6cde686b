"""Which nodes have room for the ranks of a job and for what reads beside them; pure, so that a table can test it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.runtime.load import NodeLoad
from schemas.config import ClusterConfig
from schemas.errors import Refusal

READER_CPUS = 1.0  # Ray Data needs a CPU of its own to read while the ranks hold theirs, else it waits for ever
NAMED_NODES = 6  # of those that a refusal names; the freest
ROUNDING = 1e-4  # of CPUs and GPUs, which Ray counts in ten thousandths


@dataclass(frozen=True, slots=True)
class Need:
    """`least` to `most` ranks, each on one node with what a `rank` takes, and a reader on some node."""

    rank: Mapping[str, float]
    least: int
    most: int
    reader_cpus: float = READER_CPUS

    @classmethod
    def of(cls, cluster: ClusterConfig) -> "Need":
        rank = {"CPU": cluster.cpus_per_worker, **({"GPU": 1.0} if cluster.use_gpu else {})}
        return cls(rank, cluster.least_workers, cluster.most_workers)

    @property
    def bundles(self) -> list[dict[str, float]]:
        """All of it, each to be had on one node."""
        return [*([dict(self.rank)] * self.most), {"CPU": self.reader_cpus}]

    def __str__(self) -> str:
        ranks = str(self.most) if self.least == self.most else f"{self.least} to {self.most}"
        each = " and ".join(f"{amount:g} {name}{'s' * (amount != 1)}" for name, amount in self.rank.items())
        reader = f"{self.reader_cpus:g} CPU{'s' * (self.reader_cpus != 1)} on one node to read data"
        return f"{ranks} x {each}, each on one node, and beside them {reader}" if self.most else reader


@dataclass(frozen=True, slots=True)
class Allocation:
    """As many ranks as there is room for, `most` at most, and where; `why_not` is empty where they are enough."""

    ranks: Mapping[str, int]
    """NodeLoad -> how many."""
    reader: str | None
    why_not: str = ""

    @property
    def num_ranks(self) -> int:
        return sum(self.ranks.values())


def pack(nodes: Sequence[NodeLoad], need: Need) -> Allocation:
    """Place the reader where it costs the fewest ranks, and the ranks on the fewest nodes, as Ray packs them."""
    rooms = [(reader, _places(nodes, need, reader)) for reader in nodes if reader.has({"CPU": need.reader_cpus})]
    if not rooms:
        return Allocation({}, None, f"no node has {need.reader_cpus:g} CPU free to read data; {in_words(nodes)}")
    reader, places = max(rooms, key=lambda room: min(sum(room[1].values()), need.most))
    ranks: dict[str, int] = {}
    for name, room in sorted(places.items(), key=lambda place: -place[1]):
        ranks[name] = min(room, need.most - sum(ranks.values()))
    placed = Allocation({name: count for name, count in ranks.items() if count}, reader.id)
    if placed.num_ranks >= need.least:
        return placed
    without_reader = sum(num_places(node, need) for node in nodes)
    beside = " beside the CPU that reads data" if without_reader >= need.least else ""
    return replace(placed, why_not=f"room for {placed.num_ranks} of {need.least} ranks{beside}; {in_words(nodes)}")


def num_ranks(nodes: Sequence[NodeLoad], need: Need, counts: Sequence[int], num_held: int = 0) -> int:
    """The largest of `counts` for which places are free, or held by the job itself; 0 where there is none.

    A reader's CPU must be there beside them, if only other work would give it back: to wait for that one is no fault of
    the ranks.
    """
    places = num_held + sum(num_places(node, need) for node in nodes)
    with_reader = pack([node.emptied() for node in nodes], need).num_ranks
    return max((count for count in counts if count <= min(places, with_reader)), default=0)


def check(nodes: Sequence[NodeLoad], need: Need) -> None:
    """Raise Refusal where the nodes have no room."""
    placed = pack(nodes, need)
    if placed.why_not:
        others = not pack([node.emptied() for node in nodes], need).why_not
        raise Refusal(
            found=placed.why_not,
            expected=str(need),
            where="cluster.num_workers, cluster.cpus_per_worker, cluster.use_gpu",
            remedy="wait for what other jobs hold, for example by cluster.wait_seconds=600"
            if others
            else "lower them, or add nodes to the Ray cluster; cluster.wait_seconds waits for nodes that are to come",
        )


def num_places(node: NodeLoad, need: Need) -> int:
    """How many ranks alone its free resources have room for."""
    return int(min((node.free.get(name, 0.0) + ROUNDING) // amount for name, amount in need.rank.items()))


def in_words(nodes: Sequence[NodeLoad]) -> str:
    """What of each node is free."""
    if not nodes:
        return "no node is there"
    freest = sorted(nodes, key=lambda node: (-node.free.get("CPU", 0.0), node.address))
    words = [_in_words(node) for node in freest[:NAMED_NODES]]
    left = len(nodes) - NAMED_NODES
    return ", ".join([*words, *([f"{left} more with fewer"] if left > 0 else [])])


def _places(nodes: Sequence[NodeLoad], need: Need, reader: NodeLoad) -> dict[str, int]:
    reading = {"CPU": need.reader_cpus}
    return {node.id: num_places(node.without(reading) if node is reader else node, need) for node in nodes}


def _in_words(node: NodeLoad) -> str:
    of_kind = (
        f"{node.free.get(kind, 0.0):g} of {node.total.get(kind, 0.0):g} {kind}s free"
        for kind in ("CPU", "GPU")
        if kind == "CPU" or node.total.get(kind)
    )
    return f"{node.address} has {' and '.join(of_kind)}"
