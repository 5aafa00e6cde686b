"""What each rank of the Ray Train job does: the stages of the plan, one after another, in one worker group."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.data
import ray.train
import ray.train.torch
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.data import feed
from pipeline.data.batch import Batch
from pipeline.data.store import Store
from pipeline.evaluation.metrics import Metrics, Sums
from pipeline.training import checkpoint, exchange, loop, stages
from pipeline.training.checkpoint import StageState
from pipeline.training.curves import Curves
from schemas.config import StageConfig, TrainConfig

HELD_OUT_SUMS = "held_out.npz"

MetricLog = Callable[[str, Mapping[str, float], int], None]
"""Called on rank 0 with stage, metrics and step; must survive pickling."""
Announce = Callable[[str, int, int, float], None]
"""Called on rank 0 with stage, step, steps in all and rows/s; must survive pickling."""


@dataclass(frozen=True)
class Job:
    """All that a rank is told. Finished stages are published under `run_uri`."""

    config: TrainConfig
    store: Store
    run_uri: str
    log: MetricLog
    announce: Announce | None = None


@dataclass(frozen=True, slots=True)
class Rank:
    """This process among its group, and its share of one epoch."""

    index: int
    count: int
    batch_size: int
    num_rows: int

    @property
    def steps_per_epoch(self) -> int:
        return len(_starts(self.num_rows, self.batch_size))


def _starts(num_rows: int, batch_size: int) -> range:
    """Where the batches start. A last one of a single row is left out: batch norm has no variance of it."""
    is_lone = batch_size > 1 and num_rows % batch_size == 1
    return range(0, num_rows - is_lone, batch_size)


def run(settings: dict[str, Any]) -> None:
    """One rank's part of the plan; restarted after a failure, it goes on from the last checkpoint."""
    job: Job = settings["job"]
    for stage in job.config.stages:
        if not checkpoint.is_published(stages.stage_uri(job.run_uri, stage.name)):
            _run_stage(job, stage)


def _run_stage(job: Job, stage: StageConfig) -> None:
    context = ray.train.get_context()
    ranks = context.get_world_size()
    rank = Rank(context.get_world_rank(), ranks, stage.batch_size // ranks, job.store.num_rows("train") // ranks)
    device = ray.train.torch.get_device()
    state = _start(job, stage, device)
    net: nn.Module = DistributedDataParallel(state.model) if ranks > 1 else state.model
    num_steps = stage.epochs * rank.steps_per_epoch
    curves = Curves(num_steps, lambda metrics, step: _tell(job, stage, metrics, step, num_steps))

    shard = ray.train.get_dataset_shard("train")
    batches = feed.in_background(_batches(job, stage, rank, shard, device, state.progress.step))
    gather_rows = exchange.gather_rows if ranks > 1 else loop.alone
    dropout_seed = (job.config.seed, rank.index)
    for step in loop.train(state, net, batches, stage, num_steps, rank.batch_size, gather_rows, dropout_seed):
        if rank.index == 0:
            curves.add(step, state.progress.step)
        if state.progress.step % job.config.checkpoint.every_steps == 0 and state.progress.step < num_steps:
            _save(state, rank)

    num_fields = len(job.config.data.features.fields)
    sums = exchange.add_up(_held_out_sums(state, job.store, num_fields, rank.index, rank.count))
    if rank.index == 0:
        _publish(job, stage, state, sums, ranks)
    # Every rank waits here: the next stage may start from what rank 0 has just published.
    ray.train.report({"stage": stage.name, "step": state.progress.step})


def _tell(job: Job, stage: StageConfig, metrics: Mapping[str, float], step: int, num_steps: int) -> None:
    job.log(stage.name, metrics, step)
    if job.announce:
        job.announce(stage.name, step, num_steps, metrics["perf/rows_per_second"])


def _start(job: Job, stage: StageConfig, device: torch.device) -> StageState:
    saved = ray.train.get_checkpoint()
    num_ids, base_rate = job.store.num_ids, job.store.num_positives("train") / job.store.num_rows("train")
    if saved is not None:
        with saved.as_directory() as folder:
            if checkpoint.read_progress(Path(folder)).stage == stage.name:
                return stages.start(stage, job.config, num_ids, job.run_uri, base_rate, device, Path(folder))
    return stages.start(stage, job.config, num_ids, job.run_uri, base_rate, device, None)


def _batches(
    job: Job, stage: StageConfig, rank: Rank, shard: ray.data.DataIterator, device: torch.device, done_steps: int
) -> Iterator[Batch]:
    """The batches that are still to be trained on, over all epochs.

    A window of rows is shuffled by a generator of its own, seeded by its place, so that a resumed run draws what an
    uninterrupted one would.
    """
    num_fields = len(job.config.data.features.fields)
    window_rows = max(1, feed.WINDOW_ROWS // rank.batch_size) * rank.batch_size
    first_epoch, skip = divmod(done_steps, rank.steps_per_epoch)
    stage_index = job.config.stages.index(stage)
    for epoch in range(first_epoch, stage.epochs):
        for index, rows in enumerate(feed.windows(shard, num_fields, window_rows)):
            starts = _starts(len(rows), rank.batch_size)
            if skip >= len(starts):
                skip -= len(starts)
                continue
            seed = [job.config.seed, stage_index, epoch, index, rank.index]
            shuffled = rows.take(np.random.default_rng(seed).permutation(len(rows)))
            for start in starts[skip:]:
                yield Batch.of(shuffled, start, start + rank.batch_size).to(device)
            skip = 0


def _save(state: StageState, rank: Rank) -> None:
    """A checkpoint of the stage, by rank 0; a barrier for all."""
    with tempfile.TemporaryDirectory() as folder:
        saved = None
        if rank.index == 0:
            checkpoint.save(state, Path(folder))
            saved = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"stage": state.progress.stage, "step": state.progress.step}, checkpoint=saved)


def _held_out_sums(state: StageState, store: Store, num_fields: int, rank: int, num_ranks: int) -> Sums:
    """What the model makes of this rank's share of the held-out rows; the shares together are all of them."""
    device = state.table.rows.device
    total = Sums.zero()
    for rows in feed.local_windows(store, "test", num_fields, rank, num_ranks):
        starts = range(0, len(rows), loop.EVALUATION_ROWS)
        batches = (Batch.of(rows, start, start + loop.EVALUATION_ROWS).to(device) for start in starts)
        logits = torch.cat([logits_B for _, logits_B in loop.predict(state, batches)])
        total += Sums.of(logits.cpu().numpy(), rows.labels, rows.row_weights, rows.groups)
    return total


def _publish(job: Job, stage: StageConfig, state: StageState, sums: Sums, ranks: int) -> None:
    metrics: Metrics = sums.metrics()
    progress = state.progress
    progress.results = {
        **metrics.as_dict(),
        "rows_seen": float(progress.rows_seen * ranks),
        "rows_per_second": progress.rows_seen * ranks / max(progress.seconds, 1e-9),
        "seconds": progress.seconds,
    }
    checkpoint.publish(state, {HELD_OUT_SUMS: sums.to_bytes()}, stages.stage_uri(job.run_uri, stage.name))
