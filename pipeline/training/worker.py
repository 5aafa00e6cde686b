"""What each rank of the Ray Train job does: the stages of the plan, one after another, in one worker group."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import ray.data
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from pipeline.data import feed
from pipeline.data.background import in_background
from pipeline.data.batch import Batch
from pipeline.data.store import Store
from pipeline.evaluation.metrics import Sums
from pipeline.models.table import WHOLE, Shard
from pipeline.training import checkpoint, exchange, loop, memory, stages
from pipeline.training.checkpoint import StageState
from pipeline.training.curves import Curves
from pipeline.training.placement import Placement, RowSharded, place
from pipeline.training.step import Diverged, build_step, require_finite
from schemas.config import StageConfig, TrainConfig
from schemas.features import FeatureSpec

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
    open_log: Callable[[], object] | None = None
    """Called by a thread of rank 0 while the first rows are on their way: `log` may have much to import."""


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


def run(settings: dict[str, Any]) -> str | None:
    """One rank's part of the plan; restarted after a failure, it goes on from the last checkpoint.

    Returns why training had to stop, on every rank, where another attempt would stop there too; None when all stages
    are published.
    """
    job: Job = settings["job"]
    memory.keep_freed()
    if job.open_log and ray.train.get_context().get_world_rank() == 0:
        Thread(target=job.open_log, daemon=True).start()
    # Of gloo on a GPU too: what it is told are ids, on the host, by the thread that prepares batches.
    group = dist.new_group(backend="gloo") if dist.is_initialized() else None
    try:
        for stage in job.config.stages:
            if not checkpoint.is_published(stages.stage_uri(job.run_uri, stage.name)):
                _run_stage(job, stage, group)
    except Diverged as diverged:
        return str(diverged)
    return None


def _run_stage(job: Job, stage: StageConfig, group: dist.ProcessGroup | None) -> None:
    context = ray.train.get_context()
    ranks = context.get_world_size()
    rank = Rank(context.get_world_rank(), ranks, stage.batch_size // ranks, job.store.num_rows("train") // ranks)
    device, cluster = ray.train.torch.get_device(), job.config.cluster
    is_sharded = job.config.table.placement == "row_sharded" and ranks > 1
    with _own_checkpoint(stage) as own:
        # Reading starts first: Ray Data takes as long to begin as the state takes to make.
        done_steps = checkpoint.read_progress(own).step if own else 0
        batches = in_background(_batches(job, stage, rank, ray.train.get_dataset_shard("train"), done_steps))
        state = _start(job, stage, device, own, Shard(rank.index, ranks) if is_sharded else WHOLE)
    placement = place(state.table, job.store.num_ids, job.config.table, group, cluster.fused)
    step = build_step(state, placement, stage, cluster, rank.batch_size, _has_bags(job.config.data.features))
    num_steps = stage.epochs * rank.steps_per_epoch
    curves = Curves(num_steps, lambda metrics, step: _tell(job, stage, metrics, step, num_steps))

    prepared = in_background(map(step.prepare, batches))
    for done in loop.train(state, step, prepared, stage, num_steps, (job.config.seed, rank.index)):
        if rank.index == 0:
            curves.add(done, state.progress.step)
        if state.progress.step % job.config.checkpoint.every_steps == 0 and state.progress.step < num_steps:
            require_finite(state, stage)
            _save(state, rank)

    sums = exchange.add_up(_held_out_sums(state, placement, job, rank))
    state.progress.settings = {**step.settings, "threads": str(torch.get_num_threads())}
    _publish(state, sums, stages.stage_uri(job.run_uri, stage.name), rank)
    # Every rank waits here: the next stage may start from what rank 0 has just published.
    ray.train.report({"stage": stage.name, "step": state.progress.step})


def _has_bags(features: FeatureSpec) -> bool:
    return any(field.kind == "multi_valued" for field in features.fields)


def _tell(job: Job, stage: StageConfig, metrics: Mapping[str, float], step: int, num_steps: int) -> None:
    job.log(stage.name, metrics, step)
    if job.announce:
        job.announce(stage.name, step, num_steps, metrics["perf/rows_per_second"])


@contextmanager
def _own_checkpoint(stage: StageConfig) -> Iterator[Path | None]:
    """The folder of the stage's last checkpoint; None where the last one is an earlier stage's, or there is none."""
    saved = ray.train.get_checkpoint()
    if saved is None:
        yield None
        return
    with saved.as_directory() as folder:
        yield Path(folder) if checkpoint.read_progress(Path(folder)).stage == stage.name else None


def _start(job: Job, stage: StageConfig, device: torch.device, own: Path | None, shard: Shard) -> StageState:
    base_rate = job.store.num_positives("train") / job.store.num_rows("train")
    return stages.start(stage, job.config, job.store.num_ids, job.run_uri, base_rate, device, own, shard)


def _batches(
    job: Job, stage: StageConfig, rank: Rank, shard: ray.data.DataIterator, done_steps: int
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
                yield Batch.of(shuffled, start, start + rank.batch_size)
            skip = 0


def _save(state: StageState, rank: Rank) -> None:
    """A checkpoint of the stage, each rank's shard or rank 0's whole; a barrier for all."""
    with tempfile.TemporaryDirectory() as folder:
        saved = None
        if _has_a_part(state, rank):
            checkpoint.save(state, Path(folder))
            saved = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"stage": state.progress.stage, "step": state.progress.step}, checkpoint=saved)


def _held_out_sums(state: StageState, placement: Placement, job: Job, rank: Rank) -> Sums:
    """What the model makes of this rank's share of the held-out rows; the shares together are all of them."""
    num_fields = len(job.config.data.features.fields)
    windows = feed.local_windows(job.store, "test", num_fields, rank.index, rank.count)
    size = loop.EVALUATION_ROWS
    shares, again = tee(rows.slice(start, start + size) for rows in windows for start in range(0, len(rows), size))
    batches = (Batch.of(rows, 0, len(rows)) for rows in again)
    predictions = (
        loop.predict_together(state, placement, batches, num_fields)
        if isinstance(placement, RowSharded)
        else loop.predict(state, (batch.to(state.table.rows.device) for batch in batches))
    )
    total = Sums.zero()
    for rows, (_, logits_B) in zip(shares, predictions, strict=False):
        total += Sums.of(logits_B.cpu().numpy(), rows.labels, rows.row_weights, rows.groups)
    for _ in predictions:  # a rank whose share has ended goes on answering those that still score
        pass
    return total


def _publish(state: StageState, sums: Sums, uri: str, rank: Rank) -> None:
    """Every rank's part, then _SUCCESS; a barrier for all."""
    progress = state.progress
    progress.results = {
        **sums.metrics().as_dict(),
        "rows_seen": float(progress.rows_seen),
        "rows_per_second": progress.rows_seen / max(progress.seconds, 1e-9),
        "seconds": progress.seconds,
    }
    if _has_a_part(state, rank):
        checkpoint.put(state, {HELD_OUT_SUMS: sums.to_bytes()} if rank.index == 0 else {}, uri)
    if rank.count > 1:
        dist.barrier()
    if rank.index == 0:
        checkpoint.publish(uri)


def _has_a_part(state: StageState, rank: Rank) -> bool:
    return rank.index == 0 or state.table.shard.count > 1
