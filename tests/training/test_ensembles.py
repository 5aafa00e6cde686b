"""Stages with members: what a step teaches each of them, and what they share."""

import pytest
import torch
from torch import Tensor
from training_states import assert_same_bits, batches_of, logits_of, rank_of, train_alone

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.embedding.sharding import Alone
from pipeline.training import checkpoint, initialize
from pipeline.training.losses import Diverged
from pipeline.training.step import AutogradStep
from schemas.config import TrainConfig
from schemas.stage import StageConfig

NUM_IDS, MEMBERS = 40, 3
NETS = ["dnn", "fnn", "deepfm"]


def of_members(config: TrainConfig, count: int = MEMBERS, **changes: object) -> StageConfig:
    return StageConfig.model_validate({**config.stages[1].model_dump(), "members": count, **changes})


def learned(config: TrainConfig, stage: StageConfig, rows: Rows, start: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """What a step that begins at `start`, or afresh, subtracts: of rows and w0 the gradients, of layers these as well.

    By Adagrad without epsilon, whose first accumulators are the rows' mean squares and whose rate is one.
    """
    state = initialize.from_scratch(stage, config, NUM_IDS)
    if start:
        state.model.load_state_dict(start)
    rows_before = state.table.rows.clone()
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    train_alone(state, batches_of(rows.slice(0, 16)), stage, 1)
    found = {name: before[name] - value for name, value in state.model.state_dict().items()}
    return found | {"rows": (rows_before - state.table.rows) * state.table.accumulators.sqrt()[:, None]}


@pytest.mark.parametrize("model", NETS)
def test_a_step_teaches_each_member_what_it_would_learn_alone_and_what_they_share_the_mean(config, rows, model):
    plain = {
        "model": model,
        "mlp": {"hidden": (8,)},
        "optimizer": {"name": "sgd", "learning_rate": 1.0},
        "embedding": {"learning_rate": 1.0, "epsilon": 1e-30},
        "schedule": {"type": "constant"},
    }
    together, lone = (of_members(config, count, **plain) for count in (MEMBERS, 1))
    start = initialize.from_scratch(together, config, NUM_IDS).model.state_dict()
    shapes = {name: value.shape for name, value in initialize.from_scratch(lone, config, 1).model.state_dict().items()}
    found = learned(config, together, rows, None)
    alone = [learned(config, lone, rows, of_member(start, m, shapes)) for m in range(MEMBERS)]
    for name in ("rows", "w0"):
        mean = torch.stack([own[name] for own in alone]).mean(dim=0)
        torch.testing.assert_close(found[name], mean, rtol=1e-4, atol=1e-7)
    for m, own in enumerate(alone):
        for name, value in of_member(found, m, shapes).items():
            if name != "w0":
                torch.testing.assert_close(value, own[name], rtol=1e-4, atol=1e-7)


def of_member(tensors: dict[str, Tensor], m: int, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """A member's part of the layers, in the shapes of a lone net; w0 whole."""
    return {
        name: tensors[name] if name == "w0" else tensors[name].view(MEMBERS, *shape)[m]
        for name, shape in shapes.items()
    }


def test_the_loss_that_is_told_is_the_mean_of_the_members(config, rows):
    stage = of_members(config, mlp={"hidden": (8,)})
    state = initialize.from_scratch(stage, config, NUM_IDS)
    batch = Batch.of(rows, 0, 16)
    logits_MB = state.model(state.table.read(batch)).detach()
    [step] = train_alone(state, [batch], stage, 1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits_MB, batch.labels_B.expand_as(logits_MB))
    assert float(step.losses.loss / step.losses.weight) == pytest.approx(float(loss), rel=1e-5)


def test_a_restored_ensemble_goes_on_with_the_same_bits(config, rows, tmp_path):
    stage = of_members(config, mlp={"hidden": (8,), "dropout": 0.5, "batch_norm": True})
    whole, interrupted = (initialize.from_scratch(stage, config, NUM_IDS) for _ in range(2))
    train_alone(whole, batches_of(rows), stage, 10)
    train_alone(interrupted, batches_of(rows.slice(0, 64)), stage, 10)
    checkpoint.save(interrupted, tmp_path)
    resumed = initialize.start(rank_of(config, ""), stage, tmp_path)
    train_alone(resumed, batches_of(rows.slice(64, 160)), stage, 10)
    assert_same_bits(resumed, whole)


def test_dropout_leaves_out_other_units_of_each_member(config, rows):
    stage = of_members(config, 2, mlp={"hidden": (8,), "dropout": 0.5})
    state = initialize.from_scratch(stage, config, NUM_IDS)
    with torch.no_grad():
        for parameter in state.model.mlp.parameters():
            parameter.view(2, -1)[1] = parameter.view(2, -1)[0]
    lookup = state.table.read(Batch.of(rows, 0, 16))
    assert torch.equal(*state.model.eval()(lookup))
    assert not torch.allclose(*state.model.train()(lookup))


def test_a_step_in_bfloat16_is_nearly_that_in_float32(config, rows):
    stage = of_members(config, mlp={"hidden": (8,)})
    logits = []
    for precision in ("float32", "bfloat16"):
        state = initialize.from_scratch(stage, config, NUM_IDS)
        step = AutogradStep(state, Alone(state.table), stage, 16, precision)
        step.take(step.prepare(Batch.of(rows, 0, 16)), 1.0)
        logits.append(logits_of(state, batches_of(rows)))
    assert not torch.equal(*logits)
    torch.testing.assert_close(*logits, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("model", NETS)
def test_a_member_whose_loss_is_no_number_stops_all_before_anything_is_updated(config, rows, model):
    stage = of_members(config, model=model)
    state = initialize.from_scratch(stage, config, NUM_IDS)
    before = state.table.rows.clone()
    with torch.no_grad():
        state.model.mlp.bias[1] = float("nan")
    with pytest.raises(Diverged, match="stage 'deepfm', step 0"):
        train_alone(state, batches_of(rows), stage, 10)
    assert torch.equal(state.table.rows, before)
