"""How a stage starts: from its own checkpoint, else from an earlier stage, else from scratch."""

import tempfile
from math import log
from pathlib import Path

import torch

from pipeline import models
from pipeline.data import files
from pipeline.models.table import Table
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress, StageState
from pipeline.training.optimizers import build_optimizer
from schemas.config import StageConfig, TrainConfig

CPU = torch.device("cpu")


def stage_uri(run_uri: str, name: str) -> str:
    """Where a finished stage of the run is published."""
    return f"{run_uri}/stages/{name}"


def start(
    stage: StageConfig,
    config: TrainConfig,
    num_ids: int,
    run_uri: str,
    base_rate: float,
    device: torch.device,
    own_checkpoint: Path | None,
) -> StageState:
    """The state that the stage trains on from here."""
    state = from_scratch(stage, config, num_ids, base_rate, device)
    if own_checkpoint is not None:
        checkpoint.restore(state, own_checkpoint)
    elif stage.init_from is not None:
        with tempfile.TemporaryDirectory() as folder:
            transfer(state, files.fetch(stage_uri(run_uri, stage.init_from), Path(folder)))
    return state


def from_scratch(
    stage: StageConfig, config: TrainConfig, num_ids: int, base_rate: float = 0.5, device: torch.device = CPU
) -> StageState:
    """A fresh table and model. Its bias gives the training rows' base rate: no step is spent on learning the mean."""
    num_fields = len(config.data.features.fields)
    model = models.build(stage.model, num_fields, config.table.dimension, stage.mlp, config.seed).to(device)
    with torch.no_grad():
        model.bias.fill_(log(base_rate / (1 - base_rate)))
    table = Table.create(num_ids, config.table, config.seed).to(device)
    return StageState(table, model, build_optimizer(model.parameters(), stage.optimizer), Progress(stage.name))


def transfer(state: StageState, earlier: Path) -> None:
    """Start from an earlier stage: its rows and their accumulators, and its global bias.

    Kept accumulators are a learning rate for each row: what the earlier stage has seen often moves little.
    """
    tensors = checkpoint.load_tensors(earlier)
    checkpoint.load_table(state.table, tensors)
    with torch.no_grad():
        state.model.w0.copy_(tensors["model.w0"])
