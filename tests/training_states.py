"""Batches of a few rows, two states held against each other, and a rank's whole training for tests that spawn."""

import os
import resource
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.data.store import Store, StoredPart
from pipeline.data.target import Target
from pipeline.embedding.sharding import Alone, place
from pipeline.embedding.table import WHOLE, Shard, Table
from pipeline.evaluation.objectives import sums_of
from pipeline.training import checkpoint, collectives, initialize, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.fused_step import fused_step, why_not_fused
from pipeline.training.losses import Diverged
from pipeline.training.prior import EVEN, Prior
from pipeline.training.rank import Rank
from pipeline.training.step import AutogradStep
from schemas.config import TrainConfig
from schemas.stage import StageConfig

NUM_IDS, NUM_RANKS = 40, 2
LARGE_NUM_IDS = 2_000_000  # 512 MB of rows and accumulators at K = 62


PRIORS = {
    "binary": EVEN,
    "multiclass": Prior(Target("multiclass", ("a", "b", "c")), (0.0, 0.0, 0.0)),
    "regression": Prior(Target("regression", shift=0.5, scale=0.5)),
}


def prior_of(config: TrainConfig) -> Prior:
    return PRIORS[config.data.features.objective]


def batches_of(rows: Rows, size: int = 16) -> Iterator[Batch]:
    return (Batch.of(rows, start, start + size) for start in range(0, len(rows), size))


def assert_same_bits(one: StageState, other: StageState) -> None:
    assert torch.equal(one.table.rows, other.table.rows)
    assert torch.equal(one.table.accumulators, other.table.accumulators)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def logits_of(state: StageState, batches: Iterable[Batch]) -> Tensor:
    """Of all rows of the batches, by the one rank."""
    return torch.cat([logits_B for _, logits_B in loop.predict(state, Alone(state.table), batches, num_fields=0)])


def rank_of(config: TrainConfig, run_uri: str, num_ids: int = NUM_IDS, clicks_of_100: int = 50) -> Rank:
    """The one rank, with a store of which nothing but the numbers is there."""
    parts = (StoredPart("train", date(2026, 11, 1), 0, num_rows=100, num_positives=clicks_of_100),)
    return Rank(config, Store("nowhere", num_ids, parts), run_uri)


def train_alone(state: StageState, batches: Iterable[Batch], stage: StageConfig, num_steps: int) -> list[loop.Step]:
    """As the one rank."""
    step = AutogradStep(state, Alone(state.table), stage, stage.batch_size)
    return list(loop.train(state, step, map(step.prepare, batches), stage, num_steps))


def rank_main(rank: int, port: int, cases: dict[str, tuple[TrainConfig, Rows]], out: Path) -> None:
    """Train each case's last stage as one of NUM_RANKS, score with them, and save the rank's part in out/case."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=NUM_RANKS)
    torch.set_num_threads(1)
    group = dist.new_group(backend="gloo")
    for name, (config, rows) in cases.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _train_and_score(rank, group, config, rows, folder)
        except Diverged as diverged:
            (folder / f"diverged-{rank}").write_text(str(diverged))
    dist.destroy_process_group()


def _train_and_score(rank: int, group: dist.ProcessGroup, config: TrainConfig, rows: Rows, folder: Path) -> None:
    stage = config.stages[-1]
    is_sharded = config.table.placement == "row_sharded"
    shard = Shard(rank, NUM_RANKS) if is_sharded else WHOLE
    state = initialize.from_scratch(stage, config, NUM_IDS, prior_of(config), shard=shard)
    placement = place(state.table, NUM_IDS, config.table, group)
    share = rows.take(np.flatnonzero((np.arange(len(rows)) // 8) % NUM_RANKS == rank))
    is_fused = why_not_fused(state, stage) is None
    step = fused_step(state, placement, stage, 8) if is_fused else AutogradStep(state, placement, stage, 8)
    list(loop.train(state, step, map(step.prepare, batches_of(share, 8)), stage, 10))
    own = rows if rank == 0 else rows.slice(0, 40)  # of rank 0's five batches rank 1 has two
    predictions = loop.predict(state, placement, batches_of(own, 32), rows.num_fields)
    np.save(folder / f"logits-{rank}.npy", torch.cat([logits_B for _, logits_B in predictions]).numpy())
    nothing = np.zeros((len(share), *([3] if state.target.classes else [])))
    own_sums = sums_of(state.target.objective).of(nothing, share.labels)
    assert collectives.add_up(own_sums).metrics().rows == len(rows)
    folder = folder / ("state" if is_sharded else str(rank))
    folder.mkdir(exist_ok=True)
    checkpoint.save(state, folder)


def limited_rank_main(rank: int, port: int, config: TrainConfig, rows: Rows, out: Path) -> None:
    """Train with room for a half of the table, but not for the whole."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=NUM_RANKS)
    torch.set_num_threads(1)
    list(trained_with(config, rows, 100, rank))  # all code loaded, all threads started
    own_bytes = LARGE_NUM_IDS // NUM_RANKS * (2 + config.table.dimension) * 4
    in_use_bytes = 1024 * int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0])
    most_bytes = in_use_bytes + own_bytes + own_bytes * 3 // 4
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    with pytest.raises(MemoryError):
        Table.create(LARGE_NUM_IDS, config.table, seed=0)
    steps = trained_with(config, rows, LARGE_NUM_IDS, rank)
    (out / str(rank)).write_text(str(float(steps[-1].losses.loss)))
    dist.destroy_process_group()


def trained_with(config: TrainConfig, rows: Rows, num_ids: int, rank: int) -> list[loop.Step]:
    stage = config.stages[1]
    state = initialize.from_scratch(stage, config, num_ids, shard=Shard(rank, NUM_RANKS))
    placement = place(state.table, num_ids, config.table, dist.new_group(backend="gloo"))
    step = AutogradStep(state, placement, stage, 8)
    spread = Rows(ids=rows.ids * (num_ids // NUM_IDS), labels=rows.labels, num_fields=rows.num_fields)
    return list(loop.train(state, step, map(step.prepare, batches_of(spread, 8)), stage, 20))
