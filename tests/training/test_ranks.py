"""Two processes over gloo, as two ranks of a worker group would be, without Ray."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from processes import free_port
from training_states import (
    NUM_IDS,
    NUM_RANKS,
    batches_of,
    limited_rank_main,
    logits_of,
    prior_of,
    rank_main,
    train_alone,
)

from pipeline.data.rows import Rows
from pipeline.embedding.table import Shard
from pipeline.training import checkpoint, initialize
from pipeline.training.checkpoint import StageState
from schemas.config import TrainConfig

ROW_OPTIMIZERS: dict[str, dict[str, object]] = {
    "adagrad": {"learning_rate": 0.1},
    "adam-decay-l2": {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.5, "l2": 0.1},
    "clip": {"learning_rate": 0.1, "clip": {"ratio": 0.01}},
}
PLACEMENTS = ["replicated", "row_sharded"]
ENSEMBLES: dict[str, dict[str, object]] = {
    "members": {"members": 3},
    "members-of-fnn": {"members": 2, "model": "fnn"},
}
OBJECTIVES = {"classes": "multiclass", "numbers": "regression"}
FM_ROW_OPTIMIZERS: dict[str, dict[str, object]] = {
    "adam": {"name": "adam", "learning_rate": 0.01},
    "clip-decay-l2": {"learning_rate": 0.1, "clip": {"ratio": 0.01}, "weight_decay": 0.5, "l2": 0.1},
}


def changed(
    config: TrainConfig, embedding: dict[str, object], stage: dict[str, object] | None = None, **table: object
) -> TrainConfig:
    """Without dropout, which draws by rank."""
    values = config.model_dump(mode="json")
    values["stages"][1] |= stage or {}
    values["stages"][1]["mlp"]["dropout"] = 0.0
    values["stages"][1]["embedding"] |= embedding
    values["table"] |= table
    return TrainConfig.model_validate(values)


def of_objective(config: TrainConfig, objective: str, rows: Rows, placement: str) -> tuple[TrainConfig, Rows]:
    """Labels of three classes, or numbers, by the first field's id."""
    values = changed(config, {}, placement=placement).model_dump(mode="json")
    values["data"]["features"]["objective"] = objective
    labels = rows.ids.reshape(len(rows), -1)[:, 0].astype(np.float32) % 3
    return TrainConfig.model_validate(values), replace(rows, labels=labels)


def of_fm(config: TrainConfig, embedding: dict[str, object], placement: str) -> TrainConfig:
    values = config.model_dump()
    values["stages"] = values["stages"][:1]
    values["stages"][0]["embedding"] |= embedding
    values["table"]["placement"] = placement
    return TrainConfig.model_validate(values)


def with_bags(rows: Rows) -> Rows:
    """Every third cell has two ids, every fifth none; all have weights."""
    lengths = np.ones(len(rows.ids), np.uint16)
    lengths[::3], lengths[::5] = 2, 0
    ids = np.random.default_rng(1).integers(0, NUM_IDS, lengths.sum()).astype(np.int32)
    weights = np.random.default_rng(2).random(len(ids), np.float32)
    lengths = lengths.reshape(len(rows), rows.num_fields)
    return Rows(ids=ids, lengths=lengths, weights=weights, labels=rows.labels, num_fields=rows.num_fields)


Ranks = tuple[dict[str, tuple[TrainConfig, Rows]], Path]

pytestmark = pytest.mark.slow  # its ranks are processes


@pytest.fixture(scope="module")
def ranks(config: TrainConfig, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """All that the two processes, which take seconds to start, are to train; and the folder of what came of it."""
    labels = rows.labels.copy()
    labels[16 * 3] = np.nan  # in rank 0's part of the fourth batch
    cases: dict[str, tuple[TrainConfig, Rows]] = {}
    for placement in PLACEMENTS:
        for name, embedding in ROW_OPTIMIZERS.items():
            cases[f"{placement}-{name}"] = (changed(config, embedding, placement=placement), rows)
        for name, stage in ENSEMBLES.items():
            cases[f"{placement}-{name}"] = (changed(config, {}, stage, placement=placement), rows)
        for name, objective in OBJECTIVES.items():
            cases[f"{placement}-{name}"] = of_objective(config, objective, rows, placement)
        cases[f"{placement}-bfloat16"] = (changed(config, {}, placement=placement, wire="bfloat16"), rows)
        broken = Rows(ids=rows.ids, labels=labels, num_fields=rows.num_fields)
        cases[f"{placement}-nan"] = (changed(config, {}, placement=placement), broken)
        cases[f"{placement}-fm-nan"] = (of_fm(config, {}, placement), broken)
        for name, embedding in FM_ROW_OPTIMIZERS.items():
            cases[f"{placement}-fm-{name}"] = (of_fm(config, embedding, placement), with_bags(rows))
    out = tmp_path_factory.mktemp("ranks")
    mp.spawn(rank_main, (free_port(), cases, out), nprocs=NUM_RANKS)
    return cases, out


def trained_alone(config: TrainConfig, rows: Rows) -> StageState:
    state = initialize.from_scratch(config.stages[-1], config, NUM_IDS, prior_of(config))
    train_alone(state, batches_of(rows, 16), config.stages[-1], 10)
    state.table.settle()
    return state


def assert_close(state: StageState, other: StageState) -> None:
    torch.testing.assert_close(state.table.rows, other.table.rows, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state.table.accumulators, other.table.accumulators, rtol=1e-4, atol=1e-10)
    for one, two in zip(state.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [*ROW_OPTIMIZERS, *ENSEMBLES, *OBJECTIVES])
def test_replicated_ranks_give_what_one_process_gives_on_the_union_batch(ranks, name):
    cases, out = ranks
    config, rows = cases[f"replicated-{name}"]
    states = [initialize.from_scratch(config.stages[1], config, NUM_IDS, prior_of(config)) for _ in range(NUM_RANKS)]
    for rank, state in enumerate(states):
        checkpoint.restore(state, out / f"replicated-{name}" / str(rank))
        state.table.settle()
    assert torch.equal(states[0].table.rows, states[1].table.rows), "ranks hold the same bits"
    assert_close(states[0], trained_alone(config, rows))


@pytest.mark.parametrize("name", [*ROW_OPTIMIZERS, *ENSEMBLES, *OBJECTIVES])
def test_row_sharded_ranks_do_too_and_any_number_of_ranks_loads_their_checkpoint(ranks, name):
    cases, out = ranks
    (config, rows), folder = cases[f"row_sharded-{name}"], out / f"row_sharded-{name}" / "state"
    stage, prior = config.stages[1], prior_of(config)
    alone, whole = trained_alone(config, rows), initialize.from_scratch(stage, config, NUM_IDS, prior)
    checkpoint.restore(whole, folder)
    whole.table.settle()
    assert_close(whole, alone)
    assert whole.progress.rows_seen == alone.progress.rows_seen

    for index in range(3):
        third = initialize.from_scratch(stage, config, NUM_IDS, prior, shard=Shard(index, 3))
        checkpoint.restore(third, folder)
        third.table.settle()
        assert torch.equal(third.table.rows, whole.table.rows[index::3])
        assert torch.equal(third.table.accumulators, whole.table.accumulators[index::3])


@pytest.mark.parametrize("name", FM_ROW_OPTIMIZERS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_fused_ranks_give_what_one_process_gives_by_autograd_on_the_union_batch(ranks, placement, name):
    cases, out = ranks
    config, rows = cases[f"{placement}-fm-{name}"]
    folder, alone = out / f"{placement}-fm-{name}", trained_alone(config, rows)
    for part in ("state",) if placement == "row_sharded" else map(str, range(NUM_RANKS)):
        state = initialize.from_scratch(config.stages[0], config, NUM_IDS)
        checkpoint.restore(state, folder / part)
        state.table.settle()
        assert_close(state, alone)


def test_row_sharded_ranks_score_to_the_bits_of_one_process_however_their_shares_end(ranks):
    cases, out = ranks
    (config, rows), folder = cases["row_sharded-bfloat16"], out / "row_sharded-bfloat16"
    whole = initialize.from_scratch(config.stages[1], config, NUM_IDS)
    checkpoint.restore(whole, folder / "state")
    assert np.load(folder / "logits-0.npy").tolist() == logits_of(whole, batches_of(rows, 32)).tolist()
    assert np.load(folder / "logits-1.npy").tolist() == logits_of(whole, batches_of(rows.slice(0, 40), 32)).tolist()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_rows_and_gradients_may_travel_as_bfloat16(ranks, placement):
    cases, out = ranks
    config, rows = cases[f"{placement}-bfloat16"]
    state = initialize.from_scratch(config.stages[1], config, NUM_IDS)
    checkpoint.restore(state, out / f"{placement}-bfloat16" / ("state" if placement == "row_sharded" else "0"))
    alone = trained_alone(config, rows)
    assert not torch.equal(state.table.rows, alone.table.rows)
    torch.testing.assert_close(state.table.rows, alone.table.rows, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(("case", "stage"), [("nan", "deepfm"), ("fm-nan", "fm")])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_all_ranks_stop_in_the_step_in_which_ones_loss_is_no_number(ranks, placement, case, stage):
    _, out = ranks
    for rank in range(NUM_RANKS):
        assert f"stage '{stage}', step 3:" in (out / f"{placement}-{case}" / f"diverged-{rank}").read_text()


def test_a_table_that_no_rank_could_hold_is_trained_by_two(config, rows, tmp_path):
    config = changed(config, {}, placement="row_sharded", dimension=62)
    mp.spawn(limited_rank_main, (free_port(), config, rows, tmp_path), nprocs=NUM_RANKS)
    assert all(np.isfinite(float((tmp_path / str(rank)).read_text())) for rank in range(NUM_RANKS))
