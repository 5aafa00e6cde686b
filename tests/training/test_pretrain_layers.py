"""The hidden layers of a stage, pretrained on rows of a small store."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.data.store import Store, StoredPart, complete, write_part
from pipeline.embedding.sharding import Alone
from pipeline.models import rbm
from pipeline.models.rbm import LayerFit
from pipeline.training import initialize, pretrain_layers
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged
from pipeline.training.prior import Prior
from pipeline.training.rank import Rank
from schemas.config import TrainConfig
from schemas.stage import MLPConfig, RBMConfig, StageConfig

NUM_IDS, NUM_FIELDS = 40, 3
NUM_ROWS = 3 * pretrain_layers.BATCH_ROWS + 100
SEED = 11


def written(rows: Rows, folder: Path) -> Store:
    """In two days."""
    parts = []
    for day, (start, stop) in enumerate([(0, 700), (700, len(rows))], 1):
        share = rows.slice(start, stop)
        parts.append(StoredPart("train", date(2026, 11, day), 0, len(share), int(share.labels.sum())))
        write_part(str(folder), parts[-1], share)
    return complete(str(folder), NUM_IDS, parts)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Whose last field repeats the first: something that a layer can learn."""
    ids = np.random.default_rng(1).integers(0, NUM_IDS, (NUM_ROWS, NUM_FIELDS)).astype(np.int32)
    ids[:, 2] = ids[:, 0]
    return Rows(ids=ids.ravel(), labels=(ids[:, 0] % 2).astype(np.float32), num_fields=NUM_FIELDS)


@pytest.fixture(scope="module")
def store(rows, tmp_path_factory) -> Store:
    return written(rows, tmp_path_factory.mktemp("store"))


def state_of(config: TrainConfig, model: str, dropout: float = 0.0) -> StageState:
    mlp = MLPConfig(hidden=(8, 4), activation="sigmoid", dropout=dropout)
    stage = StageConfig.model_validate({"name": f"the-{model}", "model": model, "mlp": mlp})
    state = initialize.from_scratch(stage, config, NUM_IDS, prior=Prior.of_clicks(0.3))
    state.table.rows[:, 0] = torch.linspace(-1, 1, NUM_IDS)  # as if an FM had been there
    return state


def pretrain(config: TrainConfig, state: StageState, store: Store, **settings: float) -> list[LayerFit]:
    rank = Rank(config.model_copy(update={"seed": SEED}), store, "")
    return pretrain_layers.pretrain(rank, state, Alone(state.table), RBMConfig.model_validate(settings))


def values_of(state: StageState) -> dict[str, Tensor]:
    tensors = {"rows": state.table.rows, "accumulators": state.table.accumulators, **state.model.state_dict()}
    return {name: value.clone() for name, value in tensors.items()}


@pytest.mark.parametrize("model", ["dnn", "fnn", "deepfm"])
def test_hidden_layers_change_and_nothing_else(config, store, model):
    state = state_of(config, model)
    before = values_of(state)
    fits = pretrain(config, state, store)
    after = values_of(state)
    hidden = {f"mlp.layers.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    assert {name for name in before if not torch.equal(before[name], after[name])} == hidden
    assert hidden < set(before)
    assert len(fits) == 2


def test_the_fit_of_the_first_layer_says_what_it_learnt_of_its_inputs(config, store):
    # Of its 1 + 3 (1 + 4) standardised inputs all but w0 vary, with variance 1.
    first, _ = pretrain(config, state_of(config, "fnn"), store, epochs=60, learning_rate=0.1)
    assert first.error_before == pytest.approx(15 / 16, rel=0.01)
    assert first.error_after < 0.8 * first.error_before


def test_an_fm_is_left_alone(config, store):
    state = state_of(config, "fm")
    before = values_of(state)
    assert pretrain(config, state, store) == []
    assert all(torch.equal(value, before[name]) for name, value in values_of(state).items())


def test_the_layers_learn_from_the_first_rows_as_the_net_reads_them(config, store, rows):
    # z = (w0, w_1, v_1, ..., w_F, v_F) of each row, gathered here by torch's indexing.
    state, expected = state_of(config, "fnn"), state_of(config, "fnn")
    z = expected.table.rows[torch.from_numpy(rows.ids.reshape(-1, NUM_FIELDS)).long()].flatten(start_dim=1)
    z = torch.cat([expected.model.w0.detach().expand(len(z), 1), z], dim=1)
    size = pretrain_layers.BATCH_ROWS
    rbm.pretrain(expected.model.mlp, z[: 2 * size].split(size), epochs=2, learning_rate=0.02, seed=SEED)
    pretrain(config, state, store, rows=size + 1, epochs=2, learning_rate=0.02)  # which is rounded up to whole batches
    for found, value in zip(state.model.mlp.parameters(), expected.model.mlp.parameters(), strict=True):
        torch.testing.assert_close(found, value)


def test_more_rows_than_there_are_is_all_of_them(config, store):
    states = [state_of(config, "deepfm") for _ in range(2)]
    for state, num_rows in zip(states, (NUM_ROWS, 100 * NUM_ROWS), strict=True):
        pretrain(config, state, store, rows=num_rows)
    one, other = (values_of(state) for state in states)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("model", ["fnn", "deepfm"])
def test_the_same_rows_and_seed_give_the_same_bits(config, store, model):
    states = [state_of(config, model, dropout=0.5) for _ in range(2)]
    for number, state in enumerate(states):
        torch.manual_seed(number)
        pretrain(config, state, store)
    one, other = (values_of(state) for state in states)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_pretrained_net_can_be_trained_on(config, store, rows):
    state = state_of(config, "deepfm")
    pretrain(config, state, store)
    assert all(parameter.requires_grad for parameter in state.model.parameters())
    batch = Batch.of(rows, 0, 64)
    state.model(state.table.read(batch)).sum().backward()
    assert all(parameter.grad is not None for parameter in state.model.parameters())


@pytest.mark.parametrize("model", ["fnn", "deepfm"])
def test_a_learning_rate_that_diverges_is_said_of_the_stage(config, store, model):
    with pytest.raises(Diverged, match=rf"stage 'the-{model}', mlp\.rbm\.learning_rate: .* rate of 1e\+30: lower it"):
        pretrain(config, state_of(config, model), store, learning_rate=1e30, epochs=5)
