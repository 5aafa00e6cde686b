import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_states import train_alone

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import group_ids
from pipeline.embedding.sharding import Alone
from pipeline.training import initialize, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.step import Diverged, FusedStep, is_fusible
from schemas.config import TrainConfig
from schemas.stage import ClipConfig, StageConfig

fused = pytest.importorskip("pipeline.embedding.fused", reason="needs numba: pip install 'nightjar[fused]'")


def train_fused(state: StageState, batches: list[Batch], stage: StageConfig) -> list[loop.Step]:
    step = FusedStep(state, stage, stage.batch_size)
    return list(loop.train(state, step, map(step.prepare, batches), stage, 10))


def random_batch(rng: np.random.Generator, num_rows: int, num_ids: int, is_weighted: bool) -> Batch:
    ids = rng.integers(0, num_ids, num_rows * 3).astype(np.int32)
    return Batch(
        ids_N=torch.from_numpy(ids),
        weights_N=torch.from_numpy(rng.normal(size=len(ids)).astype(np.float32)) if is_weighted else None,
        row_weights_B=torch.from_numpy(rng.random(num_rows, np.float32)) if is_weighted else None,
        labels_B=torch.from_numpy((rng.random(num_rows) < 0.5).astype(np.float32)),
        num_fields=3,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 300), st.booleans(), st.sampled_from([0.0, 0.3]), st.integers(0, 999))
def test_three_fused_steps_are_three_by_autograd(
    config: TrainConfig, num_rows: int, num_ids: int, is_weighted: bool, l2: float, seed: int
):
    rng, stage = np.random.default_rng(seed), config.stages[0]
    stage = stage.model_copy(update={"embedding": stage.embedding.model_copy(update={"l2": l2})})
    batches = [random_batch(rng, num_rows, num_ids, is_weighted) for _ in range(3)]
    one, other = (initialize.from_scratch(stage, config, num_ids, 0.3) for _ in range(2))
    steps, expected = train_fused(one, batches, stage), train_alone(other, batches, stage, 10)
    torch.testing.assert_close(one.table.rows, other.table.rows, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one.table.accumulators, other.table.accumulators, rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(one.model.w0, other.model.w0, rtol=1e-5, atol=1e-7)
    for step, by_autograd in zip(steps, expected, strict=True):
        torch.testing.assert_close(step.losses.log_loss, by_autograd.losses.log_loss, rtol=1e-4, atol=1e-6)
    assert one.progress.rows_seen == other.progress.rows_seen == 3 * num_rows


@pytest.mark.parametrize("num_ids", [1, 2, 255, 256, 257, 65_536, 65_537, 2**31 - 1])
def test_ids_are_sorted_with_their_positions(num_ids: int):
    rng = np.random.default_rng(num_ids)
    ids = rng.integers(0, num_ids, 1000).astype(np.int32)
    ids[:2] = num_ids - 1
    ordered = fused.sort(ids, num_ids)
    order = np.argsort(ids, kind="stable")
    assert (ordered & np.uint64(2**32 - 1)).tolist() == order.tolist()
    assert (ordered >> np.uint64(32)).tolist() == ids[order].tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(1, 300), st.integers(0, 999))
def test_ids_are_grouped_as_by_torch(num_positions: int, num_ids: int, seed: int):
    ids_N = torch.from_numpy(np.random.default_rng(seed).integers(0, num_ids, num_positions).astype(np.int32))
    groups, expected = fused.group_ids(ids_N, num_ids), group_ids(ids_N)
    for name in ("unique_U", "order_N", "starts_U", "index_N", "counts_U"):
        assert getattr(groups, name).tolist() == getattr(expected, name).tolist(), name


def test_the_same_batches_give_the_same_bits(config, rows):
    states = [initialize.from_scratch(config.stages[0], config, 40) for _ in range(2)]
    for state in states:
        train_fused(state, [Batch.of(rows, 0, 80), Batch.of(rows, 80, 160)], config.stages[0])
    assert torch.equal(states[0].table.rows, states[1].table.rows)


def test_a_loss_that_is_no_number_stops_before_anything_is_updated(config, rows):
    state = initialize.from_scratch(config.stages[0], config, 40)
    state.table.rows[int(rows.ids[4])] = float("nan")
    before = state.table.rows.clone()
    with pytest.raises(Diverged, match=r"stage 'fm', step 0: .* 16 rows"):
        train_fused(state, [Batch.of(rows, 0, 16)], config.stages[0])
    assert torch.equal(state.table.rows.nan_to_num(), before.nan_to_num())
    assert state.model.w0.item() == 0


def test_an_id_without_a_row_is_refused(config, rows):
    state = initialize.from_scratch(config.stages[0], config, 7)
    with pytest.raises(ValueError, match=r"\(n = 7\)"):
        train_fused(state, [Batch.of(rows, 0, 16)], config.stages[0])


def test_it_steps_in_where_it_takes_the_same_steps(config):
    state, (fm, deepfm) = initialize.from_scratch(config.stages[0], config, 40), config.stages
    adam, clipped, decayed = (
        fm.model_copy(update={"embedding": fm.embedding.model_copy(update=changes)})
        for changes in ({"name": "adam"}, {"clip": ClipConfig()}, {"weight_decay": 0.1})
    )
    placement = Alone(state.table)
    assert is_fusible(state, placement, fm, has_bags=False)
    assert not is_fusible(state, placement, fm, has_bags=True)
    assert not any(is_fusible(state, placement, stage, has_bags=False) for stage in (deepfm, adam, clipped, decayed))
