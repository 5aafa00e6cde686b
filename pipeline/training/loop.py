"""The training loop over prepared batches, and the scoring of rows that are not trained on; a step is in `step.py`."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline import models
from pipeline.data.batch import Batch
from pipeline.embedding.sharding import Placement
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Losses
from pipeline.training.optimizers import learning_rate_factor
from pipeline.training.step import TrainingStep
from schemas.stage import StageConfig


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of one rank did."""

    losses: Losses
    num_rows: int
    """Of all ranks."""
    learning_rate_factor: float
    seconds: float
    wait_seconds: float


def train(
    state: StageState,
    step: TrainingStep,
    prepared: Iterable[Any],
    stage: StageConfig,
    num_steps: int,
    dropout_seed: Sequence[int] = (0,),
) -> Iterator[Step]:
    """Take a step with each of the batches that it has `prepared`, and yield, so that the caller may log, save or stop.

    Dropout draws from (*dropout_seed, number of the step), so that a resumed run drops what an uninterrupted one would.
    Raises Diverged as the step does.
    """
    state.model.train()
    progress = state.progress
    base_rates = [float(group["lr"]) for group in state.optimizer.param_groups]
    generator = _generator_of(state.table.rows.device)
    last = time.perf_counter()
    for item in prepared:
        now = time.perf_counter()
        if progress.step == 0:
            last = now  # reading has begun, which takes as long for few rows as for many and is no rate of theirs
        waited = now - last
        factor = learning_rate_factor(stage.schedule, progress.step, num_steps)
        for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * factor
        if stage.mlp.dropout:
            generator.manual_seed(int(np.random.SeedSequence([*dropout_seed, progress.step]).generate_state(1)[0]))
        losses = step.take(item, factor)
        progress.step += 1
        num_rows = losses.num_rows * step.num_ranks
        progress.rows_seen += num_rows
        seconds = time.perf_counter() - last
        progress.seconds += seconds
        yield Step(losses, num_rows, factor, seconds, waited)
        last = time.perf_counter()
    step.finish()
    for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
        group["lr"] = rate


def _generator_of(device: torch.device) -> torch.Generator:
    """That dropout draws from. `torch.manual_seed` seeds all there are, and keeps a stack trace for each absent GPU."""
    return torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator


@torch.no_grad()
def predict(
    state: StageState, placement: Placement, batches: Iterable[Batch], num_fields: int
) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch with its logits as they are served, to the same bits wherever the table's rows live.

    Where ranks hold a shard each, one that has no batches left goes on answering the others, with batches of no rows.
    """
    state.table.settle()
    state.model.eval()
    for batch in placement.until_all_end(batches, num_fields):
        yield batch, models.served(state.model(placement.lookup(batch)), state.target)
