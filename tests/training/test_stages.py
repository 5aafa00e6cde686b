from pathlib import Path

import numpy as np
import pytest
import torch
from training_states import batches_of, train_alone

from pipeline.models.table import Table
from pipeline.training import checkpoint, loop, stages

NUM_IDS = 40


@pytest.fixture
def fm_uri(config, rows, tmp_path) -> str:
    """A run's folder with a trained FM published in it."""
    state = stages.from_scratch(config.stages[0], config, NUM_IDS)
    train_alone(state, batches_of(rows), config.stages[0], 10)
    uri = stages.stage_uri(str(tmp_path), "fm")
    checkpoint.put(state, {"extra": b"1"}, uri)
    checkpoint.publish(uri)
    return str(tmp_path)


def test_a_stage_starts_with_the_rows_accumulators_and_bias_of_the_one_it_names(config, fm_uri):
    state = stages.start(config.stages[1], config, NUM_IDS, fm_uri, 0.5, stages.CPU, None)
    saved = checkpoint.load_tensors(Path(stages.stage_uri(fm_uri, "fm")))
    assert torch.equal(state.table.rows, saved["table.rows"])
    assert torch.equal(state.table.accumulators, saved["table.accumulators"])
    assert torch.equal(state.model.w0, saved["model.w0"])
    assert state.model.w0 != 0


def test_deepfm_with_a_zero_head_starts_as_the_fm_it_comes_from(config, rows, fm_uri):
    deepfm = stages.start(config.stages[1], config, NUM_IDS, fm_uri, 0.5, stages.CPU, None)
    with torch.no_grad():
        for parameter in deepfm.model.mlp.parameters():
            parameter.zero_()
    fm = stages.from_scratch(config.stages[0], config, NUM_IDS)
    checkpoint.restore(fm, Path(stages.stage_uri(fm_uri, "fm")))
    for (_, one), (_, other) in zip(
        loop.predict(deepfm, batches_of(rows)), loop.predict(fm, batches_of(rows)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_larger_table_keeps_its_new_rows_fresh(config, fm_uri, tmp_path):
    larger = stages.start(config.stages[1], config, NUM_IDS + 5, fm_uri, 0.5, stages.CPU, None)
    fresh = Table.create(NUM_IDS + 5, config.table, config.seed)
    assert torch.equal(larger.table.rows[NUM_IDS:], fresh.rows[NUM_IDS:])
    assert not torch.equal(larger.table.rows[:NUM_IDS], fresh.rows[:NUM_IDS])


def test_a_published_stage_is_whole_or_not_there(fm_uri):
    assert checkpoint.is_published(stages.stage_uri(fm_uri, "fm"))
    assert not checkpoint.is_published(stages.stage_uri(fm_uri, "deepfm"))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"])
def test_every_optimizer_survives_its_checkpoint(config, rows, tmp_path, name):
    optimizer = config.stages[1].optimizer.model_copy(update={"name": name})
    stage = config.stages[1].model_copy(update={"optimizer": optimizer})
    states = [stages.from_scratch(stage, config, NUM_IDS) for _ in range(2)]
    train_alone(states[0], batches_of(rows), stage, 20)
    checkpoint.save(states[0], tmp_path)
    checkpoint.restore(states[1], tmp_path)
    for state in states:
        train_alone(state, batches_of(rows), stage, 20)
    assert torch.equal(states[0].table.rows, states[1].table.rows)
    assert all(
        np.array_equal(one.detach(), other.detach())
        for one, other in zip(states[0].model.parameters(), states[1].model.parameters(), strict=True)
    )


@pytest.mark.parametrize("model", ["fm", "dnn", "fnn", "deepfm"])
def test_every_model_starts_at_the_base_rate(config, rows, model):
    stage = config.stages[1].model_copy(update={"model": model, "mlp": config.stages[1].mlp})
    flat = config.model_copy(update={"table": config.table.model_copy(update={"init_deviation": 1e-9})})
    state = stages.from_scratch(stage, flat, NUM_IDS, base_rate=0.03)
    ((_, logits_B),) = loop.predict(state, batches_of(rows, len(rows)))
    torch.testing.assert_close(logits_B.sigmoid(), torch.full_like(logits_B, 0.03))
