"""A training of all stages of a plan, wherever its ranks run."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.data.store import Store
from pipeline.runtime import files
from pipeline.runtime.progress import Point, Report
from pipeline.training import affordable, published
from pipeline.training.losses import Diverged
from schemas.config import TrainConfig
from schemas.stage import StageConfig


def unheard(point: Point) -> None:
    """Nobody is to hear of it there."""


@dataclass(frozen=True)
class TrainingJob:
    """All that a rank is told. Finished stages are published under `run_uri`."""

    config: TrainConfig
    store: Store
    run_uri: str
    report: Report = unheard
    """What is to hear of each point in rank 0's own process, before the driver does."""

    @property
    def is_read_by_its_rank(self) -> bool:
        """A lone rank reads a disk itself: there is nothing to share out, and Ray Data's processes cost a CPU.

        From a bucket, several reads at once are faster. The rows are the same, in the same order.
        """
        return self.config.cluster.most_workers == 1 and not files.is_remote(self.store.uri)


def run_plan(job: TrainingJob, run_stage: Callable[[StageConfig], None], failures: dict[str, str]) -> dict[str, str]:
    """Run the stages that are not published yet; those that could not be trained, and why, come to the `failures`."""
    for stage in job.config.plan:
        if stage.name in failures or published.is_published(published.stage_uri(job.run_uri, stage.name)):
            continue
        if stage.days == "affordable" and stage.control_of in failures:
            failures[stage.name] = f"stage {stage.name!r} has no time to go by: {stage.control_of!r} was not trained"
            continue
        if stage.init_from in failures:
            failures[stage.name] = f"stage {stage.name!r} was to start from {stage.init_from!r}, which diverged"
            continue
        try:
            run_stage(affordable.on_its_days(stage, job.config, job.store, job.run_uri))
        except Diverged as diverged:
            failures[stage.name] = str(diverged)
    return failures
