"""Batches of a few rows, two states held against each other, and a rank's whole training for tests that spawn."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.evaluation.metrics import Sums
from pipeline.training import checkpoint, exchange, loop, stages
from pipeline.training.checkpoint import StageState
from schemas.config import TrainConfig

NUM_IDS, NUM_RANKS = 40, 2


def batches_of(rows: Rows, size: int = 16) -> Iterator[Batch]:
    return (Batch.of(rows, start, start + size) for start in range(0, len(rows), size))


def assert_same_bits(one: StageState, other: StageState) -> None:
    assert torch.equal(one.table.rows, other.table.rows)
    assert torch.equal(one.table.accumulators, other.table.accumulators)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def rank_main(rank: int, port: int, config: TrainConfig, rows: Rows, out: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=NUM_RANKS)
    torch.set_num_threads(1)
    stage = config.stages[1]
    state = stages.from_scratch(stage, config, NUM_IDS)
    net = DistributedDataParallel(state.model)
    share = rows.take(np.flatnonzero((np.arange(len(rows)) // 8) % NUM_RANKS == rank))
    list(loop.train(state, net, batches_of(share, 8), stage, 10, 8, exchange.gather_rows))
    total = exchange.add_up(Sums.of(np.zeros(len(share)), share.labels))
    assert total.metrics().rows == len(rows)
    (out / str(rank)).mkdir()
    checkpoint.save(state, out / str(rank))
    dist.destroy_process_group()
