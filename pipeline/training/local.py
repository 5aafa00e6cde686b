"""A stage in this process, by one rank without Ray Train: for small logs, sweeps and studies."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.data.rows import Rows
from pipeline.data.windows import local_windows, rewindowed
from pipeline.training.rank import Rank
from pipeline.training.stage import Tell, train_stage
from schemas.stage import StageConfig


def run_stage(rank: Rank, stage: StageConfig, tell: Tell) -> None:
    """Train one stage and publish it under the rank's `run_uri`. Raises Diverged."""
    rank = replace(rank, store=rank.store.of_last_days(stage.last_days))

    def windows(window_rows: int) -> Iterator[Rows]:
        return rewindowed(local_windows(rank.store, "train", rank.num_fields, 0, 1), window_rows)

    train_stage(rank, stage, None, windows, tell, save=lambda state, watch: None)
