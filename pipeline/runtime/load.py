"""What the Ray cluster has free, node by node, and what waits for room on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import ray
from ray.autoscaler.v2.sdk import get_cluster_status


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node that takes work, and what of its resources nobody holds: CPUs, GPUs, bytes of memory, by Ray's names."""

    id: str
    address: str
    free: Mapping[str, float]
    total: Mapping[str, float]

    def has(self, amounts: Mapping[str, float]) -> bool:
        return all(self.free.get(name, 0.0) >= amount for name, amount in amounts.items())

    def without(self, amounts: Mapping[str, float]) -> "NodeLoad":
        """The node, when so much of it is held, too."""
        return replace(self, free={name: free - amounts.get(name, 0.0) for name, free in self.free.items()})

    def emptied(self) -> "NodeLoad":
        """The node, when nobody holds anything of it."""
        return replace(self, free=self.total)


@dataclass(frozen=True, slots=True)
class Load:
    """What the cluster has, and for what there is no room on it just now: resources of a task or actor, how many."""

    nodes: tuple[NodeLoad, ...]
    waiting: tuple[tuple[Mapping[str, float], int], ...]


def of_cluster() -> Load:
    """As the head knows it, which is asked without a dashboard; nodes that are about to go are left out."""
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    nodes = []
    for one in (*status.active_nodes, *status.idle_nodes):
        if one.node_status != "DRAINING":
            usage = {used.resource_name: used for used in one.resource_usage.usage}
            free = {name: used.total - used.used for name, used in usage.items()}
            nodes.append(
                NodeLoad(one.node_id, one.ip_address, free, {name: used.total for name, used in usage.items()})
            )
    demands = status.resource_demands
    waiting = [
        (dict(shape.bundle), shape.count)
        for demand in (*demands.ray_task_actor_demand, *demands.placement_group_demand)
        for shape in demand.bundles_by_count
    ]
    return Load(tuple(sorted(nodes, key=lambda node: node.address)), tuple(waiting))
