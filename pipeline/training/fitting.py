"""Train all stages of a plan where the config has its ranks, and see before that there is room for them.

Ray is asked, and imported, only for ranks of Ray Train's.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from pipeline.runtime.memory import total_bytes
from pipeline.runtime.progress import Note, Point, Report, Show
from pipeline.training import kept, local, memory
from pipeline.training.job import TrainingJob, run_plan
from pipeline.training.memory import NodeMemory
from pipeline.training.published import stage_uri
from pipeline.training.rank import Rank
from schemas.config import ClusterConfig, TableConfig
from schemas.errors import Failure
from schemas.stage import StageConfig


def fit(job: TrainingJob, report: Report, say: Callable[[Note], None] = lambda note: None) -> dict[str, str]:
    """Train all stages, reporting the points of their curves as they go, and saying what is out of the ordinary.

    Returns the stages that diverged, or were to start from one that did, and why. Raises Failure if none is left, or
    when a rank fails more often than the config allows: what was interrupted goes on from there, but what diverged
    would do so again.
    """
    for stage in job.config.plan:
        kept.stage(stage_uri(job.run_uri, stage.name))  # a damaged one is dropped before a rank takes it for finished
    if job.config.cluster.most_workers:
        from pipeline.training.on_ray import trainer

        failures = trainer.fit(job, report, say)
    else:
        failures = _fit_here(job, report)
    if len(failures) == len(job.config.plan):
        first = next(iter(failures.values()))
        raise Failure(f"training stopped: {first}; the same command would stop there again")
    return failures


def _fit_here(job: TrainingJob, report: Report) -> dict[str, str]:
    memory.keep_freed()
    rank = Rank(job.config, job.store, job.run_uri)

    def tell(point: Point) -> None:
        job.report(point)
        report(point)

    with _threads_of(job.config.cluster):
        return run_plan(job, lambda stage: local.run_stage(rank, stage, tell), {})


@contextmanager
def _threads_of(config: ClusterConfig) -> Iterator[None]:
    """As many as a rank of Ray Train's would have, by whose rule: what `OMP_NUM_THREADS` says stands above the config.

    One of torch's more takes its CPU from the threads that read and prepare batches: steps become a third slower.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, int(config.cpus_per_worker)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_room(config: ClusterConfig, show: Show) -> None:
    """Refuse what the cluster has no room for, before anything is read; after `wait_seconds`, if it is to wait."""
    if config.most_workers:
        from pipeline.training.on_ray import trainer

        trainer.check_room(config, show)


def check_memory(table: TableConfig, config: ClusterConfig, stages: Sequence[StageConfig], num_ids: int) -> None:
    """Refuse a table that no allocation of the ranks, as few as they may be, has memory for while they train these."""
    need = memory.need(
        num_ids,
        table.dimension,
        config.fewest_ranks,
        is_sharded=table.placement == "row_sharded",
        has_moments=any(stage.embedding.name == "adam" for stage in stages),
    )
    if config.most_workers:
        from pipeline.training.on_ray import trainer

        trainer.check_memory(need, config)
    else:
        memory.check(need, [NodeMemory(socket.gethostname(), total_bytes(), 1)])
