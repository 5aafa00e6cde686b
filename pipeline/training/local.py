"""A stage in this process, by one rank without Ray Train: for small logs, sweeps and studies."""

from collections.abc import Iterator

from pipeline.data.rows import Rows
from pipeline.data.windows import windows_of_epoch
from pipeline.runtime.progress import Report
from pipeline.training.rank import Rank
from pipeline.training.stage import Checkpoints, train_stage
from schemas.stage import StageConfig


def run_stage(rank: Rank, stage: StageConfig, report: Report) -> None:
    """Train one stage and publish it under the rank's `run_uri`. Raises Diverged."""
    own = rank.on_rows_of(stage)

    def windows(window_rows: int) -> Iterator[Rows]:
        return windows_of_epoch(own.store, own.num_fields, window_rows)

    train_stage(own, stage, None, windows, report, Checkpoints(rank.config.checkpoint.every_steps))
