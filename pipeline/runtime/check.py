"""Something that every node of a cluster has to be able to do, and how a node that can't is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import Refusal, on_one_line

NAMED = 5  # nodes, in a refusal
MAX_CHARACTERS = 300  # of why one can't


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive."""

    id: str
    host: str
    address: str
    is_here: bool
    """On the machine of this process."""

    def __str__(self) -> str:
        return f"{self.host} ({self.address})"


class Check:
    """`begin` and `end` are called here, before and after all nodes are asked; `on_node` there; `confirm` here again.

    Each raises what stands in the way.
    """

    @property
    def where(self) -> str:
        """The config key, or the option, and what it says."""
        raise NotImplementedError

    @property
    def matters_here(self) -> bool:
        """Whether a node on the machine of this process could find it otherwise than the process itself."""
        return True

    def begin(self) -> None:
        """Raises what the process itself meets."""

    def on_node(self, node_id: str) -> None:
        raise NotImplementedError

    def confirm(self, node_id: str) -> None:
        """Of a node whose `on_node` has passed."""

    def end(self) -> None:
        """Leave nothing behind."""

    def refusal(self, amiss: Mapping[Node, str]) -> Refusal:
        """For nodes that can't, and why each."""
        raise NotImplementedError


def told(amiss: Mapping[Node, str]) -> str:
    """Which nodes can't, and why, those of one reason together."""
    of_reason: dict[str, list[Node]] = {}
    for node, why in amiss.items():
        of_reason.setdefault(why, []).append(node)
    return "; ".join(f"{named(nodes)}: {why}" for why, nodes in of_reason.items())


def named(nodes: Sequence[Node]) -> str:
    """The nodes of a refusal, a few of many."""
    more = f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
    return f"{', '.join(map(str, nodes[:NAMED]))}{more}"


def words(error: Exception) -> str:
    """Why a node can't."""
    return on_one_line(error.found if isinstance(error, Refusal) else error, MAX_CHARACTERS)
