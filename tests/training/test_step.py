"""What a stage's settings change about a step: a share of the negatives, rows that are frozen at the start."""

from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from itertools import pairwise, repeat
from math import log

import numpy as np
import pytest
import torch
from training_states import batches_of, logits_of, rank_of, train_alone

from pipeline.data.batch import Batch
from pipeline.data.store import Store, StoredPart
from pipeline.embedding.sharding import Alone
from pipeline.training import initialize, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.fused_step import FusedStep
from pipeline.training.prior import Prior
from pipeline.training.rank import Rank
from pipeline.training.step import AutogradStep, TrainingStep, build_step
from schemas.config import TrainConfig
from schemas.optimization import ConstantSchedule, EmbeddingConfig, OptimizerConfig
from schemas.stage import StageConfig

NUM_IDS = 40
CLICKS, NEGATIVES, SHARE = (10, 30), (90, 30), 1 / 3
"""Of the log, for each of two ids; the negatives that are kept are exactly a third of them."""

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba: pip install 'nightjar[fused]'")
both_kernels = pytest.mark.parametrize("is_fused", [False, pytest.param(True, marks=needs_numba)])


@pytest.fixture(scope="module")
def stage(config: TrainConfig) -> StageConfig:
    changes = {
        "batch_size": sum(CLICKS) + round(SHARE * sum(NEGATIVES)),
        "embedding": EmbeddingConfig(learning_rate=1.0),
        "optimizer": OptimizerConfig(name="sgd", learning_rate=1.0),
        "schedule": ConstantSchedule(),
    }
    return config.stages[0].model_copy(update=changes)


def kept_rows() -> Batch:
    """One field: for each id its clicks, then a third of its negatives."""
    counts = [count for pair in zip(CLICKS, NEGATIVES, strict=True) for count in (pair[0], round(SHARE * pair[1]))]
    ids, labels = np.repeat([0, 0, 1, 1], counts), np.repeat([1, 0, 1, 0], counts)
    return Batch(ids_N=torch.from_numpy(ids.astype(np.int32)), labels_B=torch.from_numpy(labels).float(), num_fields=1)


def step_of(
    state: StageState, stage: StageConfig, config: TrainConfig, is_fused: bool, of_data: float = SHARE
) -> TrainingStep:
    """Of a log of which `of_data` of the negatives were kept, where the stage has a share of its own too."""
    cluster = config.cluster.model_copy(update={"fused": is_fused})
    data = config.data.model_copy(update={"negative_share": of_data})
    rank = rank_of(config.model_copy(update={"cluster": cluster, "data": data}), "")
    step = build_step(rank.on_rows_of(stage), stage, state, Alone(state.table))
    assert isinstance(step, FusedStep if is_fused else AutogradStep)
    return step


def trained(
    stage: StageConfig, config: TrainConfig, is_fused: bool, num_steps: int, of_data: float = SHARE
) -> StageState:
    """From a base rate that is off."""
    state = initialize.from_scratch(stage, config, num_ids=2, prior=Prior.of_clicks(0.4))
    step = step_of(state, stage, config, is_fused, of_data)
    list(loop.train(state, step, map(step.prepare, repeat(kept_rows(), num_steps)), stage, num_steps))
    return state


@both_kernels
@pytest.mark.parametrize(("of_data", "of_stage"), [(SHARE, 1.0), (1.0, SHARE), (0.5, SHARE / 0.5)])
def test_a_model_of_a_share_of_the_negatives_ends_at_the_odds_of_the_whole_log(
    config, stage, is_fused, of_data, of_stage
):
    stage = stage.model_copy(update={"negative_share": of_stage})
    state = trained(stage, config, is_fused, num_steps=100, of_data=of_data)
    ids = Batch(ids_N=torch.tensor([0, 1], dtype=torch.int32), labels_B=torch.zeros(2), num_fields=1)
    logits_B = logits_of(state, [ids])
    assert logits_B.tolist() == pytest.approx([log(10 / 90), log(30 / 30)], abs=1e-3)


@both_kernels
def test_the_first_step_on_a_share_of_the_negatives_by_hand(config, stage, is_fused):
    # Odds of 0.4 to 0.6 in the log are 1.2 to 0.6 among the kept rows: p = 2/3 for each of the 80. Id 0 has 10 clicks
    # and 30 negatives, id 1 has 30 and 10, so the gradients are (40 * 2/3 - 10) / 80 = 5/24 and (40 * 2/3 - 30) / 80 =
    # -1/24. Row-wise Adagrad's first step is g / sqrt(mean of (g, 0, 0, 0, 0)^2): sqrt(5), with the sign of g.
    state = trained(stage, config, is_fused, num_steps=1)
    assert state.model.w0.item() == pytest.approx(log(0.4 / 0.6) - (5 / 24 - 1 / 24))
    assert state.table.rows[:, 0].tolist() == pytest.approx([-(5**0.5), 5**0.5], rel=1e-5)
    assert state.table.accumulators.tolist() == pytest.approx([(5 / 24) ** 2 / 5, (1 / 24) ** 2 / 5], rel=1e-5)


@needs_numba
def test_both_kernels_take_the_same_first_step_on_a_share_of_the_negatives(config, stage, rows):
    states = [initialize.from_scratch(stage, config, NUM_IDS, prior=Prior.of_clicks(0.4)) for _ in range(2)]
    losses = []
    for state, is_fused in zip(states, (False, True), strict=True):
        step = step_of(state, stage, config, is_fused)
        losses.append(step.take(step.prepare(Batch.of(rows, 0, len(rows))), 1.0).loss)
    one, other = states
    torch.testing.assert_close(one.table.rows, other.table.rows, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one.table.accumulators, other.table.accumulators, rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(one.model.w0, other.model.w0)
    torch.testing.assert_close(*losses)


def test_a_stage_starts_at_the_base_rate_of_the_whole_log(config, tmp_path):
    data = config.data.model_copy(update={"negative_share": 0.25})
    parts = (StoredPart("train", date(2026, 11, 1), 0, 50, 10), StoredPart("train", date(2026, 11, 2), 0, 70, 20))
    rank = Rank(config.model_copy(update={"data": data}), Store(str(tmp_path), NUM_IDS, parts), str(tmp_path))
    assert rank.base_rate == pytest.approx(30 / (30 + 4 * 90))


def frozen(stage: StageConfig, num_steps: int) -> StageConfig:
    return stage.model_copy(update={"embedding": stage.embedding.model_copy(update={"frozen_steps": num_steps})})


@pytest.mark.parametrize("name", ["adagrad", "adam"])
def test_frozen_steps_leave_the_rows_alone_while_the_dense_part_learns(config, rows, name):
    stage = config.stages[1].model_copy(update={"embedding": EmbeddingConfig(name=name, weight_decay=0.1)})
    state = initialize.from_scratch(stage, config, NUM_IDS)
    before = state.table.rows.clone()

    def seen() -> Iterator[Batch]:
        """Compare what each step began with."""
        for number, batch in enumerate(batches_of(rows)):
            are_rows_frozen = torch.equal(state.table.rows * state.table.scale, before)
            assert are_rows_frozen == (number <= 3), f"after {number} steps"
            assert state.table.accumulators.any() == (number > 3)
            dense.append([parameter.detach().clone() for parameter in state.model.parameters()])
            yield batch

    dense: list[list[torch.Tensor]] = []
    train_alone(state, seen(), frozen(stage, 3), num_steps=10)
    assert len(dense) == 10
    for one, other in pairwise(dense):
        assert all(not torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_a_stage_that_is_resumed_among_its_frozen_steps_thaws_when_it_would_have(config, rows):
    stage, states = frozen(config.stages[1], 3), []
    for cut in (None, 2):
        state = initialize.from_scratch(stage, config, NUM_IDS)
        batches = list(batches_of(rows))
        for some in (batches,) if cut is None else (batches[:cut], batches[cut:]):
            train_alone(state, some, stage, num_steps=10)
        states.append(state)
    assert torch.equal(states[0].table.rows, states[1].table.rows)


@needs_numba
@pytest.mark.parametrize("num_frozen", [0, 3])
def test_fused_steps_leave_frozen_rows_alone_too(config, rows, num_frozen):
    stage, states = frozen(config.stages[0], num_frozen), []
    for is_fused in (False, True):
        state = initialize.from_scratch(stage, config, NUM_IDS)
        step = step_of(state, stage, config, is_fused)
        list(loop.train(state, step, map(step.prepare, list(batches_of(rows))[:3]), stage, 10))
        states.append(state)
    assert states[1].table.accumulators.any() == (num_frozen == 0)
    torch.testing.assert_close(states[1].table.rows, states[0].table.rows)
    torch.testing.assert_close(states[1].model.w0, states[0].model.w0)
