"""Steps of classes and of numbers: their losses, gradients and updates against torch's own, by brute force."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lookups import lookup_of
from torch import Tensor, nn
from training_states import NUM_IDS, assert_same_bits, batches_of, logits_of, train_alone

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.data.target import Target
from pipeline.embedding.sharding import Alone
from pipeline.training import checkpoint, initialize
from pipeline.training.checkpoint import StageState
from pipeline.training.fused_step import why_not_fused
from pipeline.training.losses import Diverged, loss_of
from pipeline.training.prior import Prior
from pipeline.training.step import AutogradStep
from schemas.config import TrainConfig
from schemas.optimization import ConstantSchedule, OptimizerConfig
from schemas.stage import MLPConfig, ModelName, StageConfig

CLASSES = Prior(Target("multiclass", ("a", "b", "c")), (-1.0, 0.5, 0.0))
NUMBERS = Prior(Target("regression", shift=100.0, scale=20.0))
PRIORS = [pytest.param(CLASSES, id="classes"), pytest.param(NUMBERS, id="numbers")]


def stage_of(model: ModelName, members: int = 1) -> StageConfig:
    """By SGD without a schedule, so that a step is its gradient."""
    stage = StageConfig(name="one", model=model, batch_size=16, members=members, schedule=ConstantSchedule())
    plain = OptimizerConfig(name="sgd", learning_rate=1.0)
    return stage.model_copy(update={"mlp": MLPConfig(hidden=(5,), activation="tanh"), "optimizer": plain})


def labelled(rows: Rows, prior: Prior, is_weighted: bool = False) -> Rows:
    """The label goes by the first field's id."""
    first = rows.ids.reshape(len(rows), -1)[:, 0]
    labels = first % 3 if prior is CLASSES else 100 + 40 * np.sin(first)
    weights = np.random.default_rng(1).random(len(rows), np.float32) if is_weighted else None
    return replace(rows, labels=labels.astype(np.float32), row_weights=weights)


def expected_loss(state: StageState, rows_ND: Tensor, batch: Batch, members: int) -> Tensor:
    """The mean over the batch of the summed losses of all members, through dense rows."""
    logits = state.model(lookup_of(rows_ND[batch.ids_N.long()].view(batch.num_rows, batch.num_fields, -1)))
    weights_B = torch.ones(batch.num_rows) if batch.row_weights_B is None else batch.row_weights_B
    target, total = state.target, torch.zeros(())
    for own in logits if members > 1 else [logits]:
        if target.objective == "multiclass":
            each_B = F.cross_entropy(own, batch.labels_B.long(), reduction="none")
        else:
            each_B = (own * target.scale + target.shift - batch.labels_B) ** 2 / target.scale**2 / 2
        total = total + (each_B * weights_B).sum()
    return total / batch.num_rows


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(("model", "members"), [("fm", 1), ("fnn", 1), ("deepfm", 1), ("dnn", 2), ("deepfm", 2)])
def test_a_step_is_that_of_dense_autograd(config, rows, prior, model, members):
    stage = stage_of(model, members)
    state = initialize.from_scratch(stage, config, NUM_IDS, prior)
    batch = Batch.of(labelled(rows, prior, is_weighted=True), 0, 16)
    dense = nn.Parameter(state.table.rows.clone())
    loss = expected_loss(state, dense, batch, members)
    gradients, loss = torch.autograd.grad(loss, [dense, *state.model.parameters()]), loss.detach()
    names = [name for name, _ in state.model.named_parameters()]
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    (step,) = train_alone(state, [batch], stage, 1)
    assert float(step.losses.loss) * members == pytest.approx(16 * float(loss), rel=1e-5)

    of_rows, *of_model = gradients
    row_gradients = of_rows / members  # what members share learns by the mean of theirs
    accumulators = row_gradients.square().mean(dim=1)
    torch.testing.assert_close(state.table.accumulators, accumulators, rtol=1e-4, atol=1e-12)
    by_adagrad = dense - stage.embedding.learning_rate * row_gradients / (accumulators.sqrt() + 1e-8)[:, None]
    torch.testing.assert_close(state.table.rows, by_adagrad.detach(), rtol=1e-4, atol=1e-6)
    for name, gradient in zip(names, of_model, strict=True):
        own = gradient / members if name == "w0" else gradient
        torch.testing.assert_close(state.model.state_dict()[name], before[name] - own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["fm", "fnn", "dnn", "deepfm"])
@pytest.mark.parametrize("members", [1, 2])
def test_before_a_step_a_model_says_what_is_known_of_all_labels(config, rows, model, members):
    flat = config.model_copy(update={"table": config.table.model_copy(update={"init_deviation": 1e-9})})
    stage = stage_of(model, 1 if model == "fm" else members)
    for prior, expected in ((CLASSES, [-1.0, 0.5, 0.0]), (NUMBERS, 100.0)):
        state = initialize.from_scratch(stage, flat, NUM_IDS, prior)
        first = logits_of(state, batches_of(labelled(rows, prior)))[0]
        found = first if prior is NUMBERS else first - first[2]
        assert found.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("model", ["fm", "deepfm"])
def test_what_a_label_goes_by_is_learned(config, rows, prior, model):
    own = labelled(rows, prior)
    stage = stage_of(model).model_copy(update={"optimizer": OptimizerConfig(name="adam", learning_rate=0.01)})
    state = initialize.from_scratch(stage, config, NUM_IDS, prior)
    train_alone(state, [batch for _ in range(60) for batch in batches_of(own)], stage, 600)
    logits = logits_of(state, batches_of(own))
    if prior is CLASSES:
        assert (logits.argmax(dim=1).numpy() == own.labels).mean() > 0.98
    else:
        assert np.square(logits.numpy() - own.labels).mean() < 0.05 * own.labels.var()


@pytest.mark.parametrize("prior", PRIORS)
def test_resumed_is_uninterrupted_bit_for_bit(config, rows, prior, tmp_path):
    stage, own = stage_of("deepfm"), labelled(rows, prior)
    whole, halved = (initialize.from_scratch(stage, config, NUM_IDS, prior) for _ in range(2))
    train_alone(whole, batches_of(own), stage, 10)
    train_alone(halved, [*batches_of(own)][:5], stage, 10)
    checkpoint.save(halved, tmp_path)
    resumed = initialize.from_scratch(stage, config, NUM_IDS, prior)
    checkpoint.restore(resumed, tmp_path)
    train_alone(resumed, [*batches_of(own)][5:], stage, 10)
    assert_same_bits(resumed, whole)


def test_a_stage_of_classes_takes_over_what_makes_rows_the_weights_of_a_class(config: TrainConfig, rows, tmp_path):
    fm, net = (initialize.from_scratch(stage_of(model), config, NUM_IDS, CLASSES) for model in ("fm", "deepfm"))
    train_alone(fm, batches_of(labelled(rows, CLASSES)), stage_of("fm"), 10)
    checkpoint.save(fm, tmp_path)
    fresh = net.model.classes.weight.clone()
    by_v = config.stages[1].transfer.model_copy(update={"w": False, "w0": False, "accumulators": 0.0})
    initialize.transfer(net, tmp_path, by_v, 0.1, has_accumulators=True)
    assert torch.equal(net.model.classes.weight, fresh)
    assert torch.equal(net.table.rows[:, 1:], fm.table.rows[:, 1:])
    initialize.transfer(net, tmp_path, by_v.model_copy(update={"w": True, "w0": True}), 0.1, has_accumulators=True)
    assert torch.equal(net.model.classes.weight, fm.model.classes.weight)
    assert torch.equal(net.model.w0, fm.model.w0)
    assert torch.equal(net.table.rows, fm.table.rows)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_loss_that_is_no_number_stops_the_stage_and_leaves_the_state(config, rows, prior):
    own = labelled(rows, prior)
    stage = stage_of("fnn")
    state, same = (initialize.from_scratch(stage, config, NUM_IDS, prior) for _ in range(2))
    for one in (state, same):
        with torch.no_grad():
            one.model.mlp.layers[-1].weight.fill_(1e30)
            one.model.mlp.layers[-1].weight[0] = float("inf")
    step = AutogradStep(state, Alone(state.table), stage, 16)
    with pytest.raises(Diverged, match="is no number"):
        step.take(step.prepare(Batch.of(own, 0, 16)), 1.0)
    assert_same_bits(state, same)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_best_constants_loss_is_that_of_shares_or_of_the_mean(prior):
    labels = np.array([0, 1, 2, 1, 1, 0] if prior is CLASSES else [90, 130, 85, 100, 140, 99], np.float32)
    weights = np.array([1, 2, 0.5, 1, 1, 3], np.float32)
    loss = loss_of(prior.target)
    outcomes = loss.outcomes(torch.from_numpy(labels), torch.from_numpy(weights)).double().numpy()
    found = loss.of_best_constant(float(weights.sum()), outcomes)
    if prior is CLASSES:
        shares = np.array([weights[labels == c].sum() for c in range(3)]) / weights.sum()
        expected = -(shares * np.log(shares)).sum()
    else:
        mean = np.average(labels, weights=weights)
        expected = 0.5 * np.average((labels - mean) ** 2, weights=weights) / 20**2
    assert found == pytest.approx(expected, rel=1e-5)
    lone = loss.outcomes(torch.from_numpy(labels[:1]), torch.ones(1)).double().numpy()
    assert loss.of_best_constant(1.0, lone) is None


def test_the_kernels_of_clicks_take_no_other_steps(config):
    state = initialize.from_scratch(stage_of("fm"), config, NUM_IDS, CLASSES)
    assert why_not_fused(state, stage_of("fm")) == "its kernels are of clicks alone"
