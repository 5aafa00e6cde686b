"""What each rank of the Ray Train job does: the stages of the plan, one after another, in one worker group."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import ray.train
import torch
import torch.distributed as dist
from ray.actor import ActorHandle

from pipeline.data import feed
from pipeline.data.rows import Rows
from pipeline.data.windows import windows_of_epoch
from pipeline.runtime import files, trusted
from pipeline.runtime.progress import Report
from pipeline.training import checkpoint, memory, published
from pipeline.training.job import TrainingJob, run_plan
from pipeline.training.on_ray import snapshot
from pipeline.training.on_ray.progress import waiting_told
from pipeline.training.on_ray.saving import RankCheckpoints
from pipeline.training.rank import CPU, Rank
from pipeline.training.stage import Moved, Windows, train_stage
from schemas.config import ClusterConfig
from schemas.days import Span
from schemas.stage import StageConfig


def dataset_name(span: Span, negative_share: float) -> str:
    """Stages that train on the same rows read the same dataset."""
    return f"train-{span}" if negative_share == 1 else f"train-{span}-{negative_share}-of-negatives"


def run(job: TrainingJob, board: ActorHandle) -> dict[str, str] | None:
    """One rank's part of the plan; restarted after a failure, it goes on from the last checkpoint.

    Returns the stages that could not be trained and why, on every rank: those that diverged, which another attempt
    would do too, and those that were to start from them. None where the ranks left, to go on elsewhere.
    """
    memory.keep_freed()
    context = ray.train.get_context()
    if context.get_world_rank() == 0:
        _clear_unpublished(job)
    rank = Rank(
        job.config,
        job.store,
        job.run_uri,
        context.get_world_rank(),
        context.get_world_size(),
        _device(job.config.cluster),
        # Of gloo on a GPU too: what it is told are ids, on the host, by the thread that prepares batches.
        dist.new_group(backend="gloo") if dist.is_initialized() else None,
    )
    saved = Saved.of_attempt(job.run_uri)
    told = _Told(job.report, board, dict(saved.failures))
    try:
        return run_plan(job, partial(_run_stage, rank, saved, told, job.is_read_by_its_rank), told.failures)
    except Moved:
        return None


def _device(config: ClusterConfig) -> torch.device:
    if not config.use_gpu:
        return CPU
    from ray.train.torch import get_device

    device: torch.device = get_device()
    return device


def _clear_unpublished(job: TrainingJob) -> None:
    """Of what an earlier attempt has put there, perhaps of another number of ranks; before the ranks meet."""
    for stage in job.config.plan:
        uri = published.stage_uri(job.run_uri, stage.name)
        if not published.is_published(uri):
            files.remove(uri)


@dataclass(frozen=True)
class _Told:
    """Where a rank reports, and which stages have failed so far."""

    report: Report
    board: ActorHandle
    failures: dict[str, str]


@dataclass
class Saved:
    """The last checkpoint when an attempt begins: of which stage it is, and which ones before had failed.

    It is for the first stage that the attempt trains. Where that is an earlier one than its own, which has been lost,
    the later ones begin anew: they may start from other rows, or have other days, and by then it is gone.
    """

    checkpoint: ray.train.Checkpoint | None = None
    stage: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_attempt(cls, run_uri: str) -> "Saved":
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
        saved, self.checkpoint = self.checkpoint, None
        if saved is None or self.stage != stage.name:
            yield None
            return
        with saved.as_directory() as folder:
            yield Path(folder)


def _run_stage(rank: Rank, saved: Saved, told: _Told, is_read_here: bool, stage: StageConfig) -> None:
    checkpoints = RankCheckpoints(rank, told.failures)
    with saved.folder_of(stage) as own:
        of_stage = rank.on_rows_of(stage)
        windows = _read_here(of_stage) if is_read_here else _fed(rank, stage, told.board)
        train_stage(of_stage, stage, own, windows, told.report, checkpoints)
    # Every rank waits here: the next stage may start from what rank 0 has just published.
    ray.train.report({"stage": stage.name})


def _read_here(rank: Rank) -> Windows:
    return lambda window_rows: windows_of_epoch(rank.store, rank.num_fields, window_rows)


def _fed(rank: Rank, stage: StageConfig, board: ActorHandle) -> Windows:
    shard = ray.train.get_dataset_shard(dataset_name(rank.config.span_of(stage), stage.negative_share))
    return lambda window_rows: _said_to_wait(feed.windows(shard, rank.num_fields, window_rows), rank.index, board)


def _said_to_wait(windows: Iterator[Rows], rank: int, board: ActorHandle) -> Iterator[Rows]:
    """The same windows; the board is told when one has to be waited for, and when it has come."""
    while True:
        with waiting_told(board, rank):
            rows = next(windows, None)
        if rows is None:
            return
        yield rows
