import math

import numpy as np
import pytest
import torch
from training_states import assert_same_bits, batches_of, logits_of, rank_of, train_alone

from pipeline.data.rows import Rows
from pipeline.evaluation.metrics import Sums
from pipeline.training import checkpoint, initialize, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged
from schemas.config import TrainConfig
from schemas.stage import StageConfig

NUM_IDS = 40


def train(state: StageState, rows: Rows, stage: StageConfig, num_steps: int = 10) -> list[loop.Step]:
    return train_alone(state, batches_of(rows), stage, num_steps)


def test_the_first_log_loss_is_that_of_knowing_nothing(config, rows):
    flat = config.model_copy(update={"table": config.table.model_copy(update={"init_deviation": 1e-9})})
    state = initialize.from_scratch(config.stages[0], flat, NUM_IDS)
    first = train(state, rows.slice(0, 16), config.stages[0])[0]
    assert float(first.losses.loss / first.losses.weight) == pytest.approx(math.log(2), abs=1e-6)


def test_it_learns_what_one_field_tells(config, rows):
    stage = config.stages[0].model_copy(
        update={"embedding": config.stages[0].embedding.model_copy(update={"learning_rate": 0.5})}
    )
    state = initialize.from_scratch(stage, config, NUM_IDS)
    for _ in range(20):
        train(state, rows, stage, num_steps=200)
    logits = logits_of(state, batches_of(rows)).numpy()
    assert Sums.of(logits, rows.labels).metrics().auc == pytest.approx(1.0, abs=0.001)


def test_a_step_changes_only_the_rows_its_batch_touches(config, rows):
    state = initialize.from_scratch(config.stages[0], config, NUM_IDS)
    before = state.table.rows.clone()
    train(state, rows.slice(0, 8), config.stages[0])
    changed = (state.table.rows != before).any(dim=1)
    touched = np.isin(np.arange(NUM_IDS), rows.slice(0, 8).ids)
    assert changed.tolist() == touched.tolist()


def test_steps_rows_and_learning_rate_are_counted(config, rows):
    state = initialize.from_scratch(config.stages[0], config, NUM_IDS)
    steps = train(state, rows.slice(0, 40), config.stages[0], num_steps=3)
    assert [step.losses.num_rows for step in steps] == [16, 16, 8]
    assert (state.progress.step, state.progress.rows_seen) == (3, 40)
    assert [step.learning_rate_factor for step in steps] == pytest.approx([1, 2 / 3, 1 / 3])
    assert state.optimizer.param_groups[0]["lr"] == config.stages[0].optimizer.learning_rate, "the base rate is kept"


def test_a_row_of_weight_two_counts_as_two_rows(config, rows):
    stage = config.stages[0].model_copy(update={"batch_size": 4})
    one_row = rows.slice(0, 1)
    twice = Rows.concatenate([one_row, one_row])
    weighted = Rows(
        ids=one_row.ids, labels=one_row.labels, row_weights=np.array([2.0], np.float32), num_fields=rows.num_fields
    )
    states = []
    for some in (twice, weighted):
        states.append(initialize.from_scratch(stage, config, NUM_IDS))
        train(states[-1], some, stage)
    torch.testing.assert_close(states[0].table.rows, states[1].table.rows)


@pytest.mark.parametrize("position", [0, 1])
def test_a_restored_stage_goes_on_with_the_same_bits(config, rows, tmp_path, position):
    stage = config.stages[position]
    whole = initialize.from_scratch(stage, config, NUM_IDS)
    train(whole, rows, stage)

    interrupted = initialize.from_scratch(stage, config, NUM_IDS)
    train(interrupted, rows.slice(0, 64), stage)
    checkpoint.save(interrupted, tmp_path)
    resumed = initialize.start(rank_of(config, ""), stage, tmp_path)
    train(resumed, rows.slice(64, 160), stage)
    assert resumed.progress.step == whole.progress.step
    assert_same_bits(resumed, whole)


def test_the_same_seed_trains_the_same_bits_and_another_seed_others(config, rows):
    def trained(seed: int) -> StageState:
        seeded: TrainConfig = config.model_copy(update={"seed": seed})
        state = initialize.from_scratch(seeded.stages[1], seeded, NUM_IDS)
        train(state, rows, seeded.stages[1])
        return state

    assert_same_bits(trained(1), trained(1))
    assert not torch.equal(trained(1).table.rows, trained(2).table.rows)


def test_a_loss_that_is_no_number_stops_before_anything_is_updated(config, rows):
    stage = config.stages[0]
    state = initialize.from_scratch(stage, config, NUM_IDS)
    state.table.rows[:] = float("nan")
    accumulators = state.table.accumulators.clone()
    with pytest.raises(Diverged, match="stage 'fm', step 0"):
        train(state, rows, stage)
    assert torch.equal(state.table.accumulators, accumulators)


def test_prediction_leaves_batch_norm_and_dropout_out(config, rows):
    stage = config.stages[1]
    state = initialize.from_scratch(stage, config, NUM_IDS)
    twice = [logits_of(state, batches_of(rows)) for _ in range(2)]
    assert torch.equal(*twice)
