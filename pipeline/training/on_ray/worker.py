"""What each rank of the Ray Train job does: the stages of the plan, one after another, in one worker group."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import Any

import ray.train
import ray.train.torch
import torch.distributed as dist

from pipeline.data import feed
from pipeline.data.rows import Rows
from pipeline.data.store import Store
from pipeline.runtime import trusted
from pipeline.runtime.progress import Report
from pipeline.training import checkpoint, memory, published
from pipeline.training.checkpoint import StageState
from pipeline.training.early_stop import BEST, Watch
from pipeline.training.on_ray import snapshot
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
    saved = _Saved.of_attempt(job.run_uri)
    failures = dict(saved.failures)
    return run_plan(job, partial(_run_stage, rank, saved, failures, job.report), failures)


def run_plan(job: Job, run_stage: Callable[[StageConfig], None], failures: dict[str, str]) -> dict[str, str]:
    """Run the stages that are not published yet; those that could not be trained, and why, come to the `failures`."""
    for stage in job.config.plan:
        if stage.name in failures or published.is_published(published.stage_uri(job.run_uri, stage.name)):
            continue
        if stage.init_from in failures:
            failures[stage.name] = f"stage {stage.name!r} was to start from {stage.init_from!r}, which diverged"
            continue
        try:
            run_stage(stage)
        except Diverged as diverged:
            failures[stage.name] = str(diverged)
    return failures


@dataclass(frozen=True)
class _Saved:
    """The last checkpoint when an attempt begins: of which stage it is, and which ones before had failed."""

    checkpoint: ray.train.Checkpoint | None = None
    stage: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_attempt(cls, run_uri: str) -> "_Saved":
        """To be asked for once, before any rank reports: Ray tells of a later one only the ranks with a part in it.

        The others would be told of this one again, which is removed by then.
        """
        last = ray.train.get_checkpoint()
        if last is None:
            return cls()
        uri = f"{run_uri}/{PurePosixPath(last.path).name}"
        progress = trusted.read(f"{uri}/{checkpoint.PROGRESS}", checkpoint.parse_progress)
        return cls(last, progress.stage, snapshot.failures_of(uri))

    @contextmanager
    def folder_of(self, stage: StageConfig) -> Iterator[Path | None]:
        """Its folder where it is that stage's, which begins from it before a newer one can take its place."""
        if self.checkpoint is None or self.stage != stage.name:
            yield None
            return
        with self.checkpoint.as_directory() as folder:
            yield Path(folder)


def _run_stage(rank: Rank, saved: _Saved, failures: Mapping[str, str], report: Report, stage: StageConfig) -> None:
    shard = ray.train.get_dataset_shard(dataset_name(stage))

    def windows(window_rows: int) -> Iterator[Rows]:
        return feed.windows(shard, rank.num_fields, window_rows)

    with saved.folder_of(stage) as own:
        train_stage(rank.on_days_of(stage), stage, own, windows, report, partial(_save, rank, failures))
    # Every rank waits here: the next stage may start from what rank 0 has just published.
    ray.train.report({"stage": stage.name})


def _save(rank: Rank, failures: Mapping[str, str], state: StageState, watch: Watch) -> None:
    """A checkpoint of the stage, each rank's shard or rank 0's whole; a barrier for all."""
    with tempfile.TemporaryDirectory() as name:
        folder, saved = Path(name), None
        if has_a_part(rank, state):
            checkpoint.save(state, folder)
            if rank.index == 0:
                snapshot.keep_failures(failures, folder)
            if watch.best_dir.is_dir():
                (folder / BEST).mkdir()
                # All that rank 0 has: where the number of ranks has changed since, that is everyone's.
                for file in watch.best_dir.iterdir():
                    if rank.index == 0 or file.name in checkpoint.own_files(state.table.shard):
                        shutil.copy(file, folder / BEST)
            saved = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"stage": state.progress.stage, "step": state.progress.step}, checkpoint=saved)
