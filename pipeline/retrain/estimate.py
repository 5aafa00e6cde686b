"""What a config would take, told beforehand: days and rows, ids, the memory of its table, the disk of its work folder.

Nothing is written, recorded or trained, and Ray is not asked.
"""

import socket
from dataclasses import dataclass

from pipeline.data.estimated_ids import IdEstimate, estimate
from pipeline.retrain import defaults, disk
from pipeline.retrain.dataset import Inputs, find_inputs
from pipeline.retrain.disk import DiskNeed
from pipeline.runtime.memory import total_bytes
from pipeline.runtime.progress import Event, Show
from pipeline.training import memory
from pipeline.training.memory import MemoryNeed, NodeMemory
from schemas.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Estimate:
    """A retrain before it begins; `config` is the one that would be trained, with all that its stages leave open."""

    config: TrainConfig
    inputs: Inputs
    left_open: tuple[str, ...]
    ids: IdEstimate
    memory: MemoryNeed
    memory_bytes: int
    """That this machine has in all."""
    disk: DiskNeed
    free_bytes: int | None
    """On the work folder's disk; None where that has no end."""

    @property
    def table_bytes(self) -> int:
        """A rank's part of the table: rows, accumulators and moments."""
        return self.memory.rows_bytes + self.memory.accumulators_bytes + self.memory.moments_bytes


def of_retrain(config: TrainConfig, show: Show) -> Estimate:
    """What `nightjar train` would take. Raises Refusal for a log that it would refuse, by its footers or its rows."""
    inputs = find_inputs(config, show)
    own, left_open = defaults.completed(config, inputs)
    show(Event("count values", 0, 1))
    ids = estimate(inputs.manifest, config.data, inputs.split)
    show(Event("count values", 1, 1, f"{ids.num_ids:,} ids", ids.counted_rows))
    need = memory.need(
        ids.num_ids,
        own.table.dimension,
        own.cluster.fewest_ranks,
        is_sharded=own.table.placement == "row_sharded",
        has_moments=any(stage.embedding.name == "adam" for stage in own.plan),
    )
    return Estimate(
        config=own,
        inputs=inputs,
        left_open=left_open,
        ids=ids,
        memory=need,
        memory_bytes=total_bytes(),
        disk=disk.need(own, inputs, own.plan, ids.num_ids),
        free_bytes=disk.free_bytes(own),
    )


def require_room(found: Estimate) -> None:
    """Raise Refusal for a table or rows that this machine has no room for; of a cluster nothing is known here."""
    if found.config.cluster.address is None:
        here = NodeMemory(socket.gethostname(), found.memory_bytes, found.memory.num_ranks)
        memory.check(found.memory, [here])
    disk.check(found.config, found.disk)
