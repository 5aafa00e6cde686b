import importlib
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lookups import batch_of, kinds, random_batch
from training_states import train_alone

from pipeline.data.batch import Batch
from pipeline.data.store import Store
from pipeline.embedding.lookup import group_ids
from pipeline.embedding.sharding import Alone
from pipeline.runtime import fingerprint
from pipeline.training import initialize, loop
from pipeline.training.checkpoint import StageState
from pipeline.training.fused_step import fused_step, why_not_fused
from pipeline.training.losses import Diverged
from pipeline.training.prior import Prior
from pipeline.training.rank import Rank
from pipeline.training.step import build_step, in_words
from schemas.checking import derived
from schemas.optimization import ClipConfig, ConstantSchedule, OptimizerConfig
from schemas.stage import StageConfig

REPOSITORY = Path(__file__).parents[2]

radix = pytest.importorskip("pipeline.embedding.radix", reason="needs numba: pip install 'nightjar[fused]'")


def train_fused(state: StageState, batches: list[Batch], stage: StageConfig) -> list[loop.Step]:
    step = fused_step(state, Alone(state.table), stage, stage.batch_size)
    return list(loop.train(state, step, map(step.prepare, batches), stage, 10))


def changed(stage: StageConfig, **embedding: object) -> StageConfig:
    return stage.model_copy(update={"embedding": stage.embedding.model_copy(update=embedding)})


def labelled(rng: np.random.Generator, batch: Batch, is_weighted: bool) -> Batch:
    return replace(
        batch,
        weights_N=None if batch.weights_N is None else batch.weights_N.float(),
        labels_B=torch.from_numpy((rng.random(batch.num_rows) < 0.5).astype(np.float32)),
        row_weights_B=torch.from_numpy(rng.random(batch.num_rows, np.float32)) if is_weighted else None,
    )


def assert_alike(state: StageState, other: StageState) -> None:
    for one in (state, other):
        one.table.settle()
    torch.testing.assert_close(state.table.rows, other.table.rows, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(state.table.accumulators, other.table.accumulators, rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(state.model.w0, other.model.w0, rtol=1e-5, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    kind=kinds,
    sizes=st.tuples(st.integers(0, 20), st.integers(1, 4), st.integers(1, 200)),
    name=st.sampled_from(["adagrad", "adagrad", "adam"]),
    l2=st.sampled_from([0.0, 0.3]),
    weight_decay=st.sampled_from([0.0, 0.5]),
    clip=st.sampled_from([None, ClipConfig(ratio=0.1, floor=1e-3)]),
    seed=st.integers(0, 999),
)
def test_three_fused_steps_are_three_by_autograd(config, kind, sizes, name, l2, weight_decay, clip, seed):
    (num_rows, num_fields, num_ids), rng = sizes, np.random.default_rng(seed)
    # By SGD: Adam makes a whole step of what rounding leaves of a gradient of the bias that is 0.
    by_sgd = config.stages[0].model_copy(update={"optimizer": OptimizerConfig(name="sgd")})
    stage = changed(by_sgd, name=name, l2=l2, weight_decay=weight_decay, clip=clip)
    drawn = [random_batch(rng, num_rows, num_fields, num_ids, kind) for _ in range(3)]
    batches = [labelled(rng, batch, is_weighted=seed % 2 == 0) for batch in drawn]
    one, other = (initialize.from_scratch(stage, config, num_ids, Prior.of_clicks(0.3)) for _ in range(2))
    steps, expected = train_fused(one, batches, stage), train_alone(other, batches, stage, 10)
    assert_alike(one, other)
    for step, by_autograd in zip(steps, expected, strict=True):
        for name in ("loss", "weight", "outcomes"):
            found, wanted = getattr(step.losses, name), getattr(by_autograd.losses, name)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert one.progress.rows_seen == other.progress.rows_seen == 3 * num_rows


def test_a_step_on_two_bags_by_hand(config):
    # One row of two fields, ids 0 and 1, and id 2 twice, each with x = 1/2. All w are .5, v_0 = (1, 0, 0, 0), v_1 =
    # (0, 2, 0, 0), v_2 = (3, 1, 0, 0): e_1 = (.5, 1, 0, 0), e_2 = (3, 1, 0, 0), and the logit is .5 + .5 + <e_1, e_2>
    # = 3.5. With dz = p - 1 the gradients are the sums of dz x [1 | s - e]: dz (.5, 1.5, .5, 0, 0) of ids 0 and 1, and
    # dz (1, .5, 1, 0, 0) of id 2.
    stage = config.stages[0].model_copy(update={"batch_size": 1, "schedule": ConstantSchedule()})
    state = initialize.from_scratch(stage, config, num_ids=3)
    before = torch.tensor([[0.5, 1.0, 0.0], [0.5, 0.0, 2.0], [0.5, 3.0, 1.0]])
    state.table.rows[:, :3], state.table.rows[:, 3:] = before, 0.0
    batch = replace(batch_of([0, 1, 2, 2], 2, offsets=[0, 2], weights=[0.5] * 4), labels_B=torch.ones(1))
    (step,) = train_fused(state, [batch], stage)
    dz = 1 / (1 + math.exp(-3.5)) - 1
    grads = dz * torch.tensor([[0.5, 1.5, 0.5], [0.5, 1.5, 0.5], [1.0, 0.5, 1.0]])
    accumulators = grads.square().sum(dim=1) / 5
    assert float(step.losses.loss) == pytest.approx(-math.log(1 + dz))
    assert state.table.accumulators.tolist() == pytest.approx(accumulators.tolist())
    expected = before - 0.1 * grads / accumulators.sqrt()[:, None]
    torch.testing.assert_close(state.table.rows[:, :3], expected, rtol=1e-5, atol=1e-6)
    assert not state.table.rows[:, 3:].any()


FIRST_STEP = """
import numpy as np
from pipeline.embedding import fused, radix, simd
from pipeline.embedding.cells import Cells, Labels

rows, ids = simd.rows_of(np.ones((3, 5), np.float32)), np.array([0, 2, 2], np.int32)
cells, one = Cells(ids, None, None, None, 3, 1, 1), np.ones(1, np.float32)
terms, _ = fused.score(rows, cells, Labels(one, one), fused.Model(0.0, np.float32(1), 0.0, 1))
rule = fused.Adagrad(*map(np.float32, (0.1, 0, 0, 0, 0, 1, 1)))
fused.update(rows, np.zeros(3, np.float32), radix.sort(ids, 3), cells, terms, rule)
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in (fused._score, fused.update, radix.sort)))
"""


@pytest.mark.slow  # compiles four kernels
@pytest.mark.parametrize("kind", ["plain", "bags"])
def test_a_steps_kernels_are_compiled_before_its_seconds_run(config, kind: str):
    from pipeline.embedding import fused

    of_seven = config.model_copy(update={"table": config.table.model_copy(update={"dimension": 7})})
    state, rng = initialize.from_scratch(config.stages[0], of_seven, 20), np.random.default_rng(0)
    step = fused_step(state, Alone(state.table), config.stages[0], 4)
    ready = step.prepare(labelled(rng, random_batch(rng, 4, 3, 20, kind), is_weighted=False))
    before = [len(kernel.signatures) for kernel in (fused._score, fused.update)]
    step.take(ready, 1.0)
    assert [len(kernel.signatures) for kernel in (fused._score, fused.update)] == before


def test_kernels_are_compiled_again_when_a_part_of_theirs_in_another_file_has_changed(tmp_path):
    fused, cells, simd = (importlib.import_module(f"pipeline.embedding.{name}") for name in ("fused", "cells", "simd"))
    room = REPOSITORY / "pipeline" / "embedding"
    speak_numba = {file for file in room.glob("*.py") if re.search("^from .*(numba|simd)", file.read_text(), re.M)}
    assert speak_numba == {REPOSITORY / source for source in simd.KERNELS}
    own = fingerprint.of_sources(*simd.KERNELS)
    for kernel in (fused._score, fused.update, cells._number_terms, radix.sort):
        assert f"kernels-{own}" in kernel.stats.cache_path
    assert simd.kept_in(str(tmp_path)) == str(tmp_path / f"kernels-{own}"), "by NUMBA_CACHE_DIR too"


@pytest.mark.slow  # two processes that import torch and Numba
def test_what_one_process_has_compiled_the_next_need_not_compile_again():
    said = [subprocess.check_output([sys.executable, "-c", FIRST_STEP], cwd=REPOSITORY, text=True) for _ in range(2)]
    assert said[1] == "0\n"


@pytest.mark.parametrize("num_ids", [1, 2, 255, 256, 257, 65_536, 65_537, 2**31 - 1])
def test_ids_are_sorted_with_their_positions(num_ids: int):
    rng = np.random.default_rng(num_ids)
    ids = rng.integers(0, num_ids, 1000).astype(np.int32)
    ids[:2] = num_ids - 1
    ordered = radix.sort(ids, num_ids)
    order = np.argsort(ids, kind="stable")
    assert (ordered & np.uint64(2**32 - 1)).tolist() == order.tolist()
    assert (ordered >> np.uint64(32)).tolist() == ids[order].tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(1, 300), st.integers(0, 999))
def test_ids_are_grouped_as_by_torch(num_positions: int, num_ids: int, seed: int):
    ids_N = torch.from_numpy(np.random.default_rng(seed).integers(0, num_ids, num_positions).astype(np.int32))
    groups, expected = radix.group_ids(ids_N, num_ids), group_ids(ids_N)
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
    others = changed(fm, clip=ClipConfig(), weight_decay=0.1, frozen_steps=3), changed(fm, name="adam")
    assert [why_not_fused(state, stage) for stage in (fm, *others, deepfm)] == [None, None, None, ""]


def test_what_a_stage_is_computed_by_is_said_in_words_and_why_an_fm_is_by_torch(config, tmp_path):
    def said(stage: StageConfig, **cluster: object) -> tuple[str, dict[str, str]]:
        own = derived(config, cluster=derived(config.cluster, **cluster))
        state = initialize.from_scratch(stage, own, 40)
        step = build_step(Rank(own, Store("in memory", 40, ()), str(tmp_path)), stage, state, Alone(state.table))
        return in_words(step, stage), step.settings

    fm, deepfm = config.stages
    words, settings = said(fm)
    assert words == "by Numba's kernels"
    assert settings == {"kernel": "Numba's kernels", "precision": "float32", "placement": "all rows on one rank"}
    assert said(fm, fused=False)[0] == "by torch, for cluster.fused is false"
    assert said(deepfm, precision="bfloat16")[0] == "by torch in bfloat16"
