"""How a stage starts: from its own checkpoint, else from an earlier stage, else from scratch."""

import tempfile
from pathlib import Path

import torch

from pipeline import models
from pipeline.embedding.table import WHOLE, Shard, Table
from pipeline.runtime import files
from pipeline.training import checkpoint, published
from pipeline.training.checkpoint import Progress, StageState
from pipeline.training.optimizers import build_optimizer
from pipeline.training.prior import EVEN, Prior
from pipeline.training.rank import CPU, Rank
from schemas.config import TrainConfig
from schemas.stage import StageConfig
from schemas.transfer import TransferConfig

CLASS_TERMS = "classes.weight"  # of an FM of classes
LEAST_DEVIATION = 1e-3  # of a fresh start's: rows that are nearly 0 are not blown up further than by its inverse


def start(rank: Rank, stage: StageConfig, own: Path | None) -> StageState:
    """The state that the rank trains the stage on from here; `own` is the stage's last checkpoint."""
    config = rank.config
    state = from_scratch(stage, config, rank.store.num_ids, rank.prior, rank.device, rank.shard)
    if own is not None:
        checkpoint.restore(state, own)
    elif stage.init_from is not None:
        with tempfile.TemporaryDirectory() as folder:
            earlier = next((one for one in config.stages if one.name == stage.init_from), None)
            is_adagrad = stage.embedding.name == "adagrad" and (earlier is None or earlier.embedding.name == "adagrad")
            name = stage.init_from if earlier else published.origin_name(stage.init_from)
            folder_of_earlier = files.fetch(published.stage_uri(rank.run_uri, name), Path(folder))
            transfer(state, folder_of_earlier, stage.transfer, config.table.init_deviation, is_adagrad)
    return state


def from_scratch(
    stage: StageConfig,
    config: TrainConfig,
    num_ids: int,
    prior: Prior = EVEN,
    device: torch.device = CPU,
    shard: Shard = WHOLE,
) -> StageState:
    """A fresh table and model, whose bias gives what is known of the labels without a step."""
    num_fields, outputs = len(config.data.features.fields), prior.target.num_outputs
    model = models.build(stage, num_fields, config.table.dimension, config.seed, outputs).to(device)
    with torch.no_grad():
        model.bias.view(-1, outputs).copy_(torch.tensor(prior.bias))
    table = Table.create(num_ids, config.table, config.seed, stage.embedding.name, shard).to(device)
    progress = Progress(stage.name, batch_size=stage.batch_size)
    optimizer = build_optimizer(model.parameters(), stage.optimizer)
    return StageState(table, model, optimizer, progress, prior.target)


def transfer(
    state: StageState, earlier: Path, what: TransferConfig, init_deviation: float, has_accumulators: bool
) -> None:
    """Start from an earlier stage: its rows, their accumulators, its biases and layers, as far as `what` says.

    `what` is resolved. Between FMs of classes, what makes w and v the weights of each class comes with w. Raises
    ValueError where `what.dense` asks for layers of another shape.
    """
    assert what.accumulators is not None
    table = state.table
    fresh = table.rows[:, 1:].clone() if not what.v else None
    checkpoint.load_table(table, earlier, ("rows", "accumulators") if has_accumulators else ("rows",))
    if what.scale == "fresh":
        table.rows.mul_(init_deviation / max(checkpoint.deviation_of_v(earlier), init_deviation * LEAST_DEVIATION))
    else:
        table.rows.mul_(what.scale)
    if fresh is not None:
        table.rows[:, 1:] = fresh
    if not what.w:
        table.rows[:, 0] = 0.0
    table.accumulators.mul_(what.accumulators * _squared_share(state, earlier))
    if what.dense:
        _take_over_layers(state, earlier, is_w0_kept=bool(what.w0))
        return
    names = [*(["w0"] if what.w0 else []), *([CLASS_TERMS] if what.w else [])]
    own, its = state.model.state_dict(), checkpoint.load_dense(earlier)
    for name in names:
        if name in own and f"model.{name}" in its:
            own[name].copy_(its[f"model.{name}"])


def _squared_share(state: StageState, earlier: Path) -> float:
    """A row's share of a batch here over that there, squared, as accumulators are sums of squares of such shares."""
    own, its = state.progress.batch_size, checkpoint.read_progress(earlier).batch_size
    return (its / own) ** 2 if own and its else 1.0


def _take_over_layers(state: StageState, earlier: Path, *, is_w0_kept: bool) -> None:
    dense = checkpoint.load_dense(earlier)
    own = state.model.state_dict()
    its = {name.removeprefix("model."): value for name, value in dense.items() if name.startswith("model.")}
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in its.items()}:
        raise ValueError(f"stage {state.progress.stage!r}: transfer.dense wants layers like those it starts from")
    state.model.load_state_dict(its if is_w0_kept else {**its, "w0": own["w0"]})
