"""What each rank of the Ray Train job does: the stages of the plan, one after another, in one worker group."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import ray.train
import ray.train.torch
import torch.distributed as dist

from pipeline.data import feed
from pipeline.data.rows import Rows
from pipeline.data.store import Store
from pipeline.runtime.progress import Report
from pipeline.training import checkpoint, memory, published
from pipeline.training.checkpoint import StageState
from pipeline.training.early_stop import BEST, Watch
from pipeline.training.rank import Rank
from pipeline.training.stage import has_a_part, train_stage
from pipeline.training.step import Diverged
from schemas.config import TrainConfig
from schemas.stage import StageConfig


@dataclass(frozen=True)
class Job:
    """All that a rank is told. Finished stages are published under `run_uri`."""

    config: TrainConfig
    store: Store
    run_uri: str
    report: Report
    open_log: Callable[[], object] | None = None
    """Called by a thread of rank 0 while the first rows are on their way: `report` may have much to import."""


def dataset_name(stage: StageConfig) -> str:
    """Stages that train on the same days read the same dataset."""
    return f"train-{stage.last_days or 'all'}"


def run(settings: dict[str, Any]) -> dict[str, str]:
    """One rank's part of the plan; restarted after a failure, it goes on from the last checkpoint.

    Returns the stages that could not be trained and why, on every rank: those that diverged, which another attempt
    would do too, and those that were to start from them.
    """
    job: Job = settings["job"]
    memory.keep_freed()
    context = ray.train.get_context()
    if job.open_log and context.get_world_rank() == 0:
        Thread(target=job.open_log, daemon=True).start()
    rank = Rank(
        job.config,
        job.store,
        job.run_uri,
        context.get_world_rank(),
        context.get_world_size(),
        ray.train.torch.get_device(),
        # Of gloo on a GPU too: what it is told are ids, on the host, by the thread that prepares batches.
        dist.new_group(backend="gloo") if dist.is_initialized() else None,
    )
    return run_plan(job, lambda stage: _run_stage(rank.on_days_of(stage), stage, job.report))


def run_plan(job: Job, run_stage: Callable[[StageConfig], None]) -> dict[str, str]:
    """Run the stages that are not published yet; those that could not be trained, and why."""
    failures: dict[str, str] = {}
    for stage in job.config.plan:
        if published.is_published(published.stage_uri(job.run_uri, stage.name)):
            continue
        if stage.init_from in failures:
            failures[stage.name] = f"stage {stage.name!r} was to start from {stage.init_from!r}, which diverged"
            continue
        try:
            run_stage(stage)
        except Diverged as diverged:
            failures[stage.name] = str(diverged)
    return failures


def _run_stage(rank: Rank, stage: StageConfig, report: Report) -> None:
    shard = ray.train.get_dataset_shard(dataset_name(stage))

    def windows(window_rows: int) -> Iterator[Rows]:
        return feed.windows(shard, rank.num_fields, window_rows)

    with _own_checkpoint(stage) as own:
        train_stage(rank, stage, own, windows, report, partial(_save, rank))
    # Every rank waits here: the next stage may start from what rank 0 has just published.
    ray.train.report({"stage": stage.name})


@contextmanager
def _own_checkpoint(stage: StageConfig) -> Iterator[Path | None]:
    """The folder of the stage's last checkpoint; None where the last one is an earlier stage's, or there is none."""
    saved = ray.train.get_checkpoint()
    if saved is None:
        yield None
        return
    with saved.as_directory() as folder:
        yield Path(folder) if checkpoint.read_progress(Path(folder)).stage == stage.name else None


def _save(rank: Rank, state: StageState, watch: Watch) -> None:
    """A checkpoint of the stage, each rank's shard or rank 0's whole; a barrier for all."""
    with tempfile.TemporaryDirectory() as name:
        folder, saved = Path(name), None
        if has_a_part(rank, state):
            checkpoint.save(state, folder)
            if watch.best_dir.is_dir():
                (folder / BEST).mkdir()
                # All that rank 0 has: where the number of ranks has changed since, that is everyone's.
                for file in watch.best_dir.iterdir():
                    if rank.index == 0 or file.name in checkpoint.own_files(state.table.shard):
                        shutil.copy(file, folder / BEST)
            saved = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"stage": state.progress.stage, "step": state.progress.step}, checkpoint=saved)
