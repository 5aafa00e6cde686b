"""Every node of a cluster looked over for a config: what it runs, what it reaches, what it has room for.

The checks are those that a training makes before it begins, and those that would cost it too much.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.data import logs
from pipeline.registry import server
from pipeline.registry.reachable import ArtifactsKept, Reachable
from pipeline.retrain import on_nodes
from pipeline.runtime import credentials, load, nodes
from pipeline.runtime.check import Check, Node, told, words
from pipeline.runtime.nodes import Versions
from pipeline.runtime.storage import SharedFolder
from pipeline.training.on_ray import allocation
from pipeline.training.on_ray.allocation import Need
from schemas.config import TrainConfig
from schemas.errors import Refusal

MOST_SKEW_SECONDS = 5.0  # of clocks by which a lease is taken over
NOT_ASKED = "not asked"  # of a node that runs something else


@dataclass(frozen=True, slots=True)
class Found:
    """What a node is and can do; a check that it passes has no words."""

    node: Node
    versions: str
    checks: Mapping[str, str]
    clock_ahead_seconds: float | None
    ranks: int
    reads: bool
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Examination:
    """All nodes; `refusals` are what a run would end in, one for each thing that is amiss."""

    nodes: tuple[Found, ...]
    refusals: tuple[Refusal, ...]


def examine(config: TrainConfig) -> Examination:
    """Of the cluster that this process is connected to. Raises Refusal for what this very machine can't do."""
    tracking_uri = server.resolve_uri(config.mlflow, config.work_uri)
    manifest = logs.find(config.data, logs.days_of(config.data)[-1:])
    checks: dict[str, Check] = {"work folder": on_nodes.folder(config), "log": on_nodes.log(manifest)}
    refusals: list[Refusal] = []
    try:
        if server.find(config.mlflow, config.work_uri) is not None:
            checks["MLflow"] = Reachable(config.mlflow, tracking_uri)
            checks["artifacts"] = ArtifactsKept(config.mlflow, tracking_uri)
        elif path := server.database_of(tracking_uri):  # which the first training makes
            checks["MLflow"] = SharedFolder("mlflow.tracking_uri", str(path.parent))
    except Refusal as refusal:
        refusals.append(refusal)
    return _of_nodes(config, tracking_uri, checks, refusals)


def _of_nodes(
    config: TrainConfig, tracking_uri: str, checks: Mapping[str, Check], refusals: list[Refusal]
) -> Examination:
    alive, began = nodes.alive(), time.monotonic()
    versions = nodes.versions(alive)
    seconds = 2 * nodes.patience(time.monotonic() - began)  # artifacts take their time, too
    _collect(refusals, lambda: nodes.require_versions(versions))
    same = [node for node in alive if versions[node] == Versions.here()]
    amiss = dict(zip(checks, nodes.examine(same, [*checks.values()], seconds), strict=True))
    refusals += [check.refusal(amiss[name]) for name, check in checks.items() if amiss[name]]
    skews = nodes.clock_skews(same)
    _collect(refusals, lambda: _require_clocks(skews))
    free = load.of_cluster().nodes
    need = Need.of(config.cluster)
    _collect(refusals, lambda: allocation.check(free, need))
    places = allocation.pack(free, need)
    kinds = nodes.ask(same, _credentials, (config.work_uri, config.data.logs_uri), tracking_uri)

    def found(node: Node) -> Found:
        skew, its = skews.get(node), kinds.get(node)
        return Found(
            node=node,
            versions=_in_words(versions[node]),
            checks={name: amiss[name].get(node, "") if node in skews else NOT_ASKED for name in checks},
            clock_ahead_seconds=skew if isinstance(skew, float) else None,
            ranks=places.ranks.get(node.id, 0),
            reads=places.reader == node.id,
            credentials=its if isinstance(its, dict) else {},
        )

    return Examination(tuple(map(found, alive)), tuple(refusals))


def _require_clocks(skews: Mapping[Node, float | Exception]) -> None:
    """Raise Refusal where a clock is so far from this machine's that a lease could be taken from one who holds it."""
    wrong = {
        node: words(skew) if isinstance(skew, Exception) else f"{skew:+.1f} s"
        for node, skew in skews.items()
        if isinstance(skew, Exception) or abs(skew) > MOST_SKEW_SECONDS
    }
    if wrong:
        raise Refusal(
            found=told(wrong),
            expected=f"clocks within {MOST_SKEW_SECONDS:g} s of this machine's: leases expire by them",
            where="the nodes of the Ray cluster",
            remedy="let all machines set their clocks by one server (chrony, systemd-timesyncd)",
        )


def _credentials(places: tuple[str, ...], tracking_uri: str, node_id: str) -> dict[str, str]:
    found = {
        "object store": credentials.of_places(places),
        "MLflow": credentials.of_mlflow(tracking_uri),
        "Ray": credentials.of_ray(),
    }
    return {name: kind for name, kind in found.items() if kind}


def _collect(refusals: list[Refusal], check: Any) -> None:
    try:
        check()
    except Refusal as refusal:
        refusals.append(refusal)


def _in_words(versions: Versions | Exception) -> str:
    return words(versions) if isinstance(versions, Exception) else str(versions)


def summary(refusals: Sequence[Refusal]) -> Refusal:
    """One for all of them: the first, and how many more there are."""
    first = refusals[0]
    more = f" (and {len(refusals) - 1} more above)" if len(refusals) > 1 else ""
    return Refusal(found=f"{first.found}{more}", expected=first.expected, where=first.where, remedy=first.remedy)
