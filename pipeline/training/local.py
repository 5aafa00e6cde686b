"""The plan of a retrain in this process, by one rank without Ray Train: for sweeps and studies."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from pipeline.data import feed
from pipeline.data.rows import Rows
from pipeline.training import checkpoint, course, memory, stages
from pipeline.training.course import Rank
from schemas.stage import StageConfig

MetricLog = Callable[[str, Mapping[str, float], int], None]


def run_plan(rank: Rank, log: MetricLog) -> None:
    """Train the stages that are not published yet; `log` gets stage, metrics and step. Raises Diverged."""
    memory.keep_freed()
    for stage in rank.config.plan:
        if not checkpoint.is_published(stages.stage_uri(rank.run_uri, stage.name)):
            run_stage(rank, stage, log)


def run_stage(rank: Rank, stage: StageConfig, log: MetricLog) -> None:
    """Train one stage and publish it under the rank's `run_uri`."""
    rank = replace(rank, store=rank.store.of_last_days(stage.last_days))

    def windows(window_rows: int) -> Iterator[Rows]:
        return feed.rewindowed(feed.local_windows(rank.store, "train", rank.num_fields, 0, 1), window_rows)

    def tell(metrics: Mapping[str, float], step: int, num_steps: int) -> None:
        log(stage.name, metrics, step)

    course.train_stage(rank, stage, None, windows, tell, save=lambda state, watch: None)
