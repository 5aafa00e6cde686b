"""The nodes of the Ray cluster, asked all at once what they are and whether they can do what a run will want of them.

A node that runs another Nightjar, sees another disk or lacks credentials would be found out by a traceback, hours on.
"""

import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.runtime import fingerprint
from pipeline.runtime.check import Check, Node, told, words
from schemas.errors import Refusal

START_SECONDS = 60.0  # in which a node starts its first process, be it as busy as it may
ANSWER_SECONDS = 15.0  # in which the processes then answer; more where they were slow to start
SLOWNESS = 5.0
CLOCK_TRIES = 3
SOURCES = ("schemas", "pipeline")  # of Nightjar, by which two versions are told apart


@dataclass(frozen=True, slots=True)
class Versions:
    """What a node runs; `nightjar` is the fingerprint of its sources, or why there are none."""

    ray: str
    python: str
    nightjar: str

    @classmethod
    def here(cls) -> "Versions":
        return cls(ray.__version__, platform.python_version(), fingerprint.of_sources(*SOURCES))

    def __str__(self) -> str:
        return f"Ray {self.ray}, Python {self.python}, Nightjar {self.nightjar}"


def alive() -> list[Node]:
    """All nodes that take work, by address: not those that are about to go."""
    leaving = state.get_draining_nodes()
    found = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
    own_id, own_host = ray.get_runtime_context().get_node_id(), socket.gethostname()
    own_address = next((node["NodeManagerAddress"] for node in found if node["NodeID"] == own_id), "")
    nodes = []
    for node in found:
        host, address = node["NodeManagerHostname"], node["NodeManagerAddress"]
        nodes.append(Node(node["NodeID"], host, address, (host, address) == (own_host, own_address)))
    return sorted(nodes, key=lambda node: (node.address, node.id))


def require(checks: Sequence[Check]) -> None:
    """Raise Refusal, naming nodes, unless all run this very Nightjar and pass the checks.

    Where all nodes are on this machine nothing is asked but what they could find otherwise than this process.
    """
    nodes, began = alive(), time.monotonic()
    if all(node.is_here for node in nodes):
        checks = [check for check in checks if check.matters_here]
        seconds = START_SECONDS
    else:
        require_versions(versions(nodes))
        seconds = patience(time.monotonic() - began)
    for check in checks:  # one after the other: what the first refuses need not wait for what the last imports
        (amiss,) = examine(nodes, [check], seconds)
        if amiss:
            raise check.refusal(amiss)


def patience(start_seconds: float) -> float:
    """How long to wait for an answer of nodes that took so long to start a process: a busy one is no broken one."""
    return max(ANSWER_SECONDS, SLOWNESS * start_seconds)


def ask(
    nodes: Sequence[Node], question: Callable[..., Any], *arguments: Any, seconds: float = START_SECONDS
) -> dict[Node, Any]:
    """What the question comes to on each node, asked of all at once; an Exception where one raised it or was silent."""
    task = ray.remote(num_cpus=0, max_retries=0)(question)
    asked = {
        node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(
            *arguments, node.id
        )
        for node in nodes
    }
    answered, _ = ray.wait([*asked.values()], num_returns=len(asked), timeout=seconds)
    return {node: _answer(ref, ref in answered, seconds) for node, ref in asked.items()}


def _answer(ref: "ray.ObjectRef[Any]", is_there: bool, seconds: float) -> Any:
    if not is_there:
        ray.cancel(ref, force=True)
        return TimeoutError(f"no answer within {seconds:.0f} s")
    try:
        return ray.get(ref)
    except ray.exceptions.RayError as error:
        return getattr(error, "cause", None) or error


def versions(nodes: Sequence[Node]) -> dict[Node, Versions | Exception]:
    """What each node runs."""
    sources = SOURCES

    def look(node_id: str) -> tuple[str, str, str]:
        """Sent as it stands here, since a node may have another Nightjar, or none."""
        import platform

        import ray

        try:
            from pipeline.runtime import fingerprint

            nightjar = fingerprint.of_sources(*sources)
        except Exception as error:
            nightjar = f"none ({error})"
        return ray.__version__, platform.python_version(), nightjar

    answers = ask(nodes, look)
    return {node: one if isinstance(one, Exception) else Versions(*one) for node, one in answers.items()}


def require_versions(found: Mapping[Node, Versions | Exception]) -> None:
    """Raise Refusal for nodes that do not run what this process runs."""
    own = Versions.here()
    others = {node: words(one) if isinstance(one, Exception) else str(one) for node, one in found.items() if one != own}
    if others:
        raise Refusal(
            found=told(others),
            expected=f"on every node what runs here: {own}",
            where="the nodes of the Ray cluster",
            remedy="start all of them from one image, or install the same wheel of Nightjar on each",
        )


def clock_skews(nodes: Sequence[Node]) -> dict[Node, float | Exception]:
    """By how many seconds each node's clock is ahead of this one's, known to half of what the quickest answer took."""
    return {node: _clock_skew(node) for node in nodes}


def _clock_skew(node: Node) -> float | Exception:
    seen: list[tuple[float, float]] = []
    for _ in range(CLOCK_TRIES):
        before = time.time()
        there = ask([node], _clock)[node]
        after = time.time()
        if isinstance(there, Exception):
            return there
        seen.append((after - before, there - (before + after) / 2))
    return min(seen)[1]


def _clock(node_id: str) -> float:
    return time.time()


def examine(nodes: Sequence[Node], checks: Sequence[Check], seconds: float) -> list[dict[Node, str]]:
    """Of each check the nodes that do not pass it, and why. Raises what this process meets itself."""
    begun: list[Check] = []
    try:
        for check in checks:
            begun.append(check)
            check.begin()
        answers = ask(nodes, _amiss, [*checks], seconds=seconds)
        return [_failing(check, place, answers) for place, check in enumerate(checks)]
    finally:
        for check in begun:
            check.end()


def _failing(check: Check, place: int, answers: Mapping[Node, list[str] | Exception]) -> dict[Node, str]:
    amiss = {node: words(one) if isinstance(one, Exception) else one[place] for node, one in answers.items()}
    whys = {node: why or _why(check.confirm, node.id) for node, why in amiss.items()}
    return {node: why for node, why in whys.items() if why}


def _amiss(checks: Sequence[Check], node_id: str) -> list[str]:
    """On a node: why each of the checks fails, or nothing."""
    return [_why(check.on_node, node_id) for check in checks]


def _why(look: Callable[[str], None], node_id: str) -> str:
    try:
        look(node_id)
    except Exception as error:
        return words(error)
    return ""
