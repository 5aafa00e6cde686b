from pathlib import Path

import numpy as np
import pytest
import torch
from training_states import batches_of, logits_of, rank_of, train_alone

from pipeline.data.rows import Rows
from pipeline.embedding.table import WHOLE, Shard, Table
from pipeline.training import checkpoint, initialize, published
from pipeline.training.checkpoint import StageState
from pipeline.training.prior import Prior
from schemas.config import TrainConfig
from schemas.stage import StageConfig
from schemas.transfer import TransferConfig

NUM_IDS = 40
ALL = {"w": True, "w0": True, "accumulators": 0.0}
NUM_STRANGERS = 10


@pytest.fixture
def fm_uri(config, rows, tmp_path) -> str:
    """A run's folder with a trained FM published in it."""
    state = initialize.from_scratch(config.stages[0], config, NUM_IDS)
    train_alone(state, batches_of(rows), config.stages[0], 10)
    uri = published.stage_uri(str(tmp_path), "fm")
    published.put(state, {"extra": b"1"}, uri)
    published.publish(uri)
    return str(tmp_path)


def taking_all(config: TrainConfig) -> StageConfig:
    """DeepFM, which takes over all that FM has."""
    return config.stages[1].model_copy(update={"transfer": TransferConfig(**ALL)})


def test_a_stage_starts_with_the_interactions_of_the_one_it_names_and_all_else_fresh(config, fm_uri):
    state = initialize.start(rank_of(config, fm_uri, clicks_of_100=3), config.stages[1], None)
    saved = checkpoint.load_tensors(Path(published.stage_uri(fm_uri, "fm")))
    assert torch.equal(state.table.rows[:, 1:], saved["table.rows"][:, 1:])
    assert not state.table.rows[:, 0].any()
    assert not state.table.accumulators.any()
    assert state.model.w0.sigmoid().item() == pytest.approx(0.03)


def test_a_stage_takes_over_w_and_the_bias_too_where_its_config_says_so(config, fm_uri):
    state = initialize.start(rank_of(config, fm_uri), taking_all(config), None)
    saved = checkpoint.load_tensors(Path(published.stage_uri(fm_uri, "fm")))
    assert torch.equal(state.table.rows, saved["table.rows"])
    assert not state.table.accumulators.any()
    assert torch.equal(state.model.w0, saved["model.w0"])
    assert state.model.w0 != 0


def test_deepfm_with_a_zero_head_starts_as_the_fm_it_comes_from(config, rows, fm_uri):
    deepfm = initialize.start(rank_of(config, fm_uri), taking_all(config), None)
    with torch.no_grad():
        for parameter in deepfm.model.mlp.parameters():
            parameter.zero_()
    fm = initialize.from_scratch(config.stages[0], config, NUM_IDS)
    checkpoint.restore(fm, Path(published.stage_uri(fm_uri, "fm")))
    torch.testing.assert_close(logits_of(deepfm, batches_of(rows)), logits_of(fm, batches_of(rows)))


def test_a_larger_table_keeps_its_new_rows_fresh(config, fm_uri, tmp_path):
    larger = initialize.start(rank_of(config, fm_uri, NUM_IDS + 5), config.stages[1], None)
    fresh = Table.create(NUM_IDS + 5, config.table, config.seed)
    assert torch.equal(larger.table.rows[NUM_IDS:], fresh.rows[NUM_IDS:])
    assert not torch.equal(larger.table.rows[:NUM_IDS], fresh.rows[:NUM_IDS])


def test_a_published_stage_is_whole_or_not_there(fm_uri):
    assert published.is_published(published.stage_uri(fm_uri, "fm"))
    assert not published.is_published(published.stage_uri(fm_uri, "deepfm"))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"])
def test_every_optimizer_survives_its_checkpoint(config, rows, tmp_path, name):
    optimizer = config.stages[1].optimizer.model_copy(update={"name": name})
    stage = config.stages[1].model_copy(update={"optimizer": optimizer})
    states = [initialize.from_scratch(stage, config, NUM_IDS) for _ in range(2)]
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
    state = initialize.from_scratch(stage, flat, NUM_IDS, prior=Prior.of_clicks(0.03))
    logits_B = logits_of(state, batches_of(rows, len(rows)))
    torch.testing.assert_close(logits_B.sigmoid(), torch.full_like(logits_B, 0.03))


@pytest.fixture
def fm_folder(config, rows, tmp_path) -> Path:
    """A trained FM, the last ids of which no row has held."""
    state = initialize.from_scratch(config.stages[0], config, NUM_IDS + NUM_STRANGERS)
    train_alone(state, batches_of(rows), config.stages[0], 10)
    assert (state.table.accumulators > 0).tolist() == [True] * NUM_IDS + [False] * NUM_STRANGERS
    folder = tmp_path / "fm"
    folder.mkdir()
    checkpoint.save(state, folder)
    return folder


def fresh(config: TrainConfig, shard: Shard = WHOLE) -> StageState:
    return initialize.from_scratch(
        config.stages[1], config, NUM_IDS + NUM_STRANGERS, prior=Prior.of_clicks(0.3), shard=shard
    )


def transferred(config: TrainConfig, folder: Path, shard: Shard = WHOLE, **what: object) -> StageState:
    state = fresh(config, shard)
    initialize.transfer(state, folder, TransferConfig.model_validate(ALL | what), config.table.init_deviation, True)
    return state


def by_hand(config: TrainConfig, rows: list[list[float]], accumulators: list[float]) -> StageState:
    """An FM with these rows of K = 2."""
    narrow = config.model_copy(update={"table": config.table.model_copy(update={"dimension": 2})})
    state = initialize.from_scratch(config.stages[0], narrow, len(rows))
    state.table.rows.copy_(torch.tensor(rows))
    state.table.accumulators.copy_(torch.tensor(accumulators))
    return state


def test_a_scale_multiplies_w_and_v_and_nothing_else(config, fm_folder):
    saved = checkpoint.load_tensors(fm_folder)
    state = transferred(config, fm_folder, scale=0.25, accumulators=1.0)
    assert torch.equal(state.table.rows, saved["table.rows"] * 0.25)
    assert torch.equal(state.table.accumulators, saved["table.accumulators"])
    assert torch.equal(state.model.w0, saved["model.w0"])


def test_the_deviation_of_v_is_that_of_the_rows_that_were_trained(config, tmp_path):
    # Of (3, 4) and (0, 5), whatever w: sqrt((9 + 16 + 0 + 25) / 4). No step has touched the row of the largest v.
    checkpoint.save(by_hand(config, [[7, 3, 4], [1, 90, 90], [-8, 0, 5]], [1, 0, 0.5]), tmp_path)
    assert checkpoint.deviation_of_v(tmp_path) == pytest.approx((50 / 4) ** 0.5)


def test_the_deviation_of_v_before_any_step_is_0(config, tmp_path):
    checkpoint.save(by_hand(config, [[7, 3, 4]], [0]), tmp_path)
    assert checkpoint.deviation_of_v(tmp_path) == 0


def test_scaled_as_fresh_the_trained_rows_have_the_deviation_of_a_fresh_start(config, fm_folder):
    state, saved = transferred(config, fm_folder, scale="fresh"), checkpoint.load_tensors(fm_folder)["table.rows"]
    v = state.table.rows[:NUM_IDS, 1:]
    assert v.square().mean().sqrt().item() == pytest.approx(config.table.init_deviation, rel=1e-5)
    before = saved[:NUM_IDS, 1:].square().mean().sqrt()
    assert before > 1.1 * config.table.init_deviation, "training has made them longer"
    torch.testing.assert_close(state.table.rows, saved * config.table.init_deviation / before)


def test_rows_that_are_nearly_0_are_blown_up_no_further_than_by_the_inverse_of_the_least_deviation(config, tmp_path):
    narrow = config.model_copy(update={"table": config.table.model_copy(update={"dimension": 2})})
    checkpoint.save(by_hand(config, [[1e-9, 1e-9, -1e-9]], [1]), tmp_path)
    state = initialize.from_scratch(config.stages[0], narrow, 1)
    initialize.transfer(state, tmp_path, TransferConfig(**ALL, scale="fresh"), config.table.init_deviation, True)
    most = 1e-9 / initialize.LEAST_DEVIATION
    assert state.table.rows.tolist() == [pytest.approx([most, most, -most])]


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_accumulators_are_kept_by_a_factor_and_0_starts_new_ones(config, fm_folder, factor):
    saved = checkpoint.load_tensors(fm_folder)
    state = transferred(config, fm_folder, accumulators=factor)
    assert torch.equal(state.table.accumulators, saved["table.accumulators"] * factor)
    assert torch.equal(state.table.rows, saved["table.rows"])


def test_kept_accumulators_are_as_if_the_earlier_batches_had_been_as_large(config, tmp_path):
    # No two of the rows have an id in common, and the bias stands still: each id has the one gradient of its row, which
    # is a share of its batch.
    rng = np.random.default_rng(1)
    rows = Rows(ids=rng.permutation(96).astype(np.int32), labels=np.arange(32, dtype=np.float32) % 2, num_fields=3)
    still = config.stages[0].optimizer.model_copy(update={"learning_rate": 1e-9})
    taken = {}
    for batch_size in (32, 4):
        fm = config.stages[0].model_copy(update={"batch_size": batch_size, "optimizer": still})
        state = initialize.from_scratch(fm, config, 96)
        train_alone(state, batches_of(rows, batch_size), fm, 32 // batch_size)
        folder = tmp_path / str(batch_size)
        folder.mkdir()
        checkpoint.save(state, folder)
        net = initialize.from_scratch(config.stages[1].model_copy(update={"batch_size": 4}), config, 96)
        what = TransferConfig(w=True, w0=True, accumulators=1.0)
        initialize.transfer(net, folder, what, config.table.init_deviation, True)
        taken[batch_size] = net.table.accumulators
    assert taken[4].all()
    torch.testing.assert_close(taken[32], taken[4])


def test_adam_takes_no_accumulators_of_adagrads(config, fm_uri):
    embedding = config.stages[1].embedding.model_copy(update={"name": "adam"})
    stage = taking_all(config).model_copy(update={"embedding": embedding})
    state = initialize.start(rank_of(config, fm_uri), stage, None)
    saved = checkpoint.load_tensors(Path(published.stage_uri(fm_uri, "fm")))
    assert torch.equal(state.table.rows, saved["table.rows"])
    assert not state.table.accumulators.any()


def test_what_is_not_taken_over_starts_fresh(config, fm_folder):
    start, saved = fresh(config), checkpoint.load_tensors(fm_folder)
    w, v, w0 = saved["table.rows"][:, 0], saved["table.rows"][:, 1:], saved["model.w0"]
    fresh_v, fresh_w0 = start.table.rows[:, 1:], start.model.w0
    assert w.any()
    assert not torch.equal(v[:NUM_IDS], fresh_v[:NUM_IDS])
    assert w0 != fresh_w0

    without_w, without_v, without_w0 = (transferred(config, fm_folder, **{name: False}) for name in ("w", "v", "w0"))
    for state, expected_w, expected_v, expected_w0 in (
        (without_w, torch.zeros_like(w), v, w0),
        (without_v, w, fresh_v, w0),
        (without_w0, w, v, fresh_w0),
    ):
        assert torch.equal(state.table.rows[:, 0], expected_w)
        assert torch.equal(state.table.rows[:, 1:], expected_v)
        assert torch.equal(state.model.w0, expected_w0)


def test_the_scale_is_not_of_what_starts_fresh(config, fm_folder):
    state, saved = transferred(config, fm_folder, v=False, scale=2), checkpoint.load_tensors(fm_folder)
    assert torch.equal(state.table.rows[:, 0], 2 * saved["table.rows"][:, 0])
    assert torch.equal(state.table.rows[:, 1:], fresh(config).table.rows[:, 1:])


@pytest.mark.parametrize(
    "what",
    [{}, {"scale": 0.3}, {"scale": "fresh"}, {"accumulators": 0.5}, {"w": False, "w0": False}, {"v": False}],
    ids=["all", "scaled", "as-fresh", "accumulators", "v-alone", "w-alone"],
)
def test_a_shard_starts_as_its_slice_of_the_whole(config, fm_folder, what):
    whole = transferred(config, fm_folder, **what)
    for index in range(2):
        state = transferred(config, fm_folder, shard=Shard(index, 2), **what)
        assert torch.equal(state.table.rows, whole.table.rows[index::2])
        assert torch.equal(state.table.accumulators, whole.table.accumulators[index::2])
        assert torch.equal(state.model.w0, whole.model.w0)


def test_the_deviation_of_v_counts_the_rows_of_all_shards(config, fm_folder, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    for index in range(2):
        checkpoint.save(transferred(config, fm_folder, shard=Shard(index, 2), accumulators=1.0), shards)
    assert checkpoint.deviation_of_v(shards) == pytest.approx(checkpoint.deviation_of_v(fm_folder))
