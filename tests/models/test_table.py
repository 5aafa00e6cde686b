import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.models.table import Table, merge
from schemas.config import RowOptimizerConfig, TableConfig

F64 = torch.float64


def batch_of(
    ids: list[int], num_fields: int, offsets: list[int] | None = None, weights: list[float] | None = None
) -> Batch:
    num_cells = len(ids) if offsets is None else len(offsets)
    return Batch(
        ids_N=torch.tensor(ids, dtype=torch.int32),
        offsets_C=None if offsets is None else torch.tensor(offsets, dtype=torch.int32),
        weights_N=None if weights is None else torch.tensor(weights),
        labels_B=torch.zeros(num_cells // num_fields),
        num_fields=num_fields,
    )


def random_batch(rng: np.random.Generator, num_rows: int, num_fields: int, num_ids: int, kind: str) -> Batch:
    """float64 weights: the tests below compare in float64, where sums in another order differ by 1e-16."""
    num_cells = num_rows * num_fields
    lengths = rng.integers(0, 4, num_cells) if "bags" in kind else np.ones(num_cells, int)
    num_active = int(lengths.sum())
    return Batch(
        ids_N=torch.from_numpy(rng.integers(0, num_ids, num_active).astype(np.int32)),
        offsets_C=torch.from_numpy((lengths.cumsum() - lengths).astype(np.int32)) if "bags" in kind else None,
        weights_N=torch.from_numpy(rng.normal(size=num_active)) if "weighted" in kind else None,
        labels_B=torch.zeros(num_rows),
        num_fields=num_fields,
    )


def random_table(rng: np.random.Generator, num_ids: int, num_floats: int) -> Table:
    return Table(torch.from_numpy(rng.normal(size=(num_ids, num_floats))), torch.zeros(num_ids, dtype=F64))


def incidence(batch: Batch, num_ids: int) -> Tensor:
    """[C, n] sum of x_i of id i in each cell, filled in one occurrence after another."""
    num_cells = batch.num_rows * batch.num_fields
    starts = list(range(num_cells)) if batch.offsets_C is None else batch.offsets_C.tolist()
    x_Cn = torch.zeros(num_cells, num_ids, dtype=F64)
    for cell, (start, stop) in enumerate(itertools.pairwise([*starts, len(batch.ids_N)])):
        for position in range(start, stop):
            weight = 1.0 if batch.weights_N is None else batch.weights_N[position]
            x_Cn[cell, batch.ids_N[position]] += weight
    return x_Cn


def step(table: Table, batch: Batch, grad_BFD: Tensor, config: RowOptimizerConfig) -> None:
    plan = table.plan(batch.ids_N)
    table.update(plan.unique_U, table.segment_sum(grad_BFD, batch, plan), config, config.learning_rate)


kinds = st.sampled_from(["plain", "weighted", "bags", "weighted bags"])


def test_lookup_by_hand():
    table = Table(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.zeros(3))
    rows_BFD = table.lookup(batch_of([2, 0, 1, 1], num_fields=2))
    assert rows_BFD.tolist() == [[[5, 6], [1, 2]], [[3, 4], [3, 4]]]
    assert rows_BFD.is_leaf
    assert rows_BFD.requires_grad


def test_lookup_of_bags_by_hand():
    # Cells {0, 0, 2}, {}, {1}, {} with x = 1, 2, 10, 0.5; the second and the fourth are empty.
    table = Table(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.zeros(3))
    batch = batch_of([0, 0, 2, 1], num_fields=2, offsets=[0, 3, 3, 4], weights=[1, 2, 10, 0.5])
    assert table.lookup(batch).tolist() == [[[53, 66], [0, 0]], [[1.5, 2], [0, 0]]]


def test_lookup_leaves_the_table_as_it_was():
    table = Table(torch.ones(2, 2), torch.zeros(2))
    table.lookup(batch_of([0, 1], num_fields=2, weights=[5, 7]))
    assert table.rows.tolist() == [[1, 1], [1, 1]]


def test_a_batch_of_nothing_but_empty_bags_changes_nothing():
    table = Table(torch.ones(2, 3), torch.zeros(2))
    batch = batch_of([], num_fields=2, offsets=[0, 0])
    assert table.lookup(batch).tolist() == [[[0, 0, 0], [0, 0, 0]]]
    step(table, batch, torch.ones(1, 2, 3), RowOptimizerConfig(l2=1))
    assert table.rows.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(("ids", "found"), [([0, 7], "0 to 7"), ([0, 5], "0 to 5"), ([-3, 1], "-3 to 1")])
@pytest.mark.parametrize("offsets", [None, [0, 0]])
def test_an_id_without_a_row_is_refused_by_name(ids: list[int], found: str, offsets: list[int] | None):
    table = Table(torch.ones(5, 3), torch.zeros(5))
    with pytest.raises(ValueError, match=rf"ids {found}, .* \(n = 5\)"):
        table.lookup(batch_of(ids, num_fields=2, offsets=offsets))


def test_plan_groups_positions_by_id():
    plan = Table.plan(torch.tensor([7, 2, 7, 9, 2, 7], dtype=torch.int32))
    assert plan.unique_U.tolist() == [2, 7, 9]
    assert plan.order_N.tolist() == [1, 4, 0, 2, 5, 3]
    assert plan.starts_U.tolist() == [0, 2, 5]


def test_update_by_hand():
    # Id 1 twice: g = (1, 3) + (2, 1) = (3, 4), its mean square 12.5, acc = 3.5 + 12.5 = 16; row -= 0.4 g / 4.
    table = Table(torch.tensor([[5.0, 5.0], [1.0, 2.0]]), torch.tensor([9.0, 3.5]))
    step(table, batch_of([1, 1], 2), torch.tensor([[[1.0, 3.0], [2.0, 1.0]]]), RowOptimizerConfig(learning_rate=0.4))
    assert table.accumulators.tolist() == [9, 16]
    torch.testing.assert_close(table.rows, torch.tensor([[5.0, 5.0], [1 - 0.3, 2 - 0.4]]))


def test_l2_is_of_the_rows_touched_and_part_of_their_gradient():
    # g = 0 + 0.5 (6, 8) = (3, 4).
    table = Table(torch.tensor([[5.0, 5.0], [6.0, 8.0]]), torch.tensor([9.0, 3.5]))
    step(table, batch_of([1], 1), torch.zeros(1, 1, 2), RowOptimizerConfig(learning_rate=0.4, l2=0.5))
    assert table.accumulators.tolist() == [9, 16]
    torch.testing.assert_close(table.rows, torch.tensor([[5.0, 5.0], [6 - 0.3, 8 - 0.4]]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 12), kinds, st.integers(0, 999))
def test_lookup_and_segment_sum_are_a_matrix_product_and_its_transpose(
    num_rows: int, num_fields: int, num_floats: int, num_ids: int, kind: str, seed: int
):
    rng = np.random.default_rng(seed)
    table, batch = random_table(rng, num_ids, num_floats), random_batch(rng, num_rows, num_fields, num_ids, kind)
    x_Cn = incidence(batch, num_ids)
    torch.testing.assert_close(table.lookup(batch).flatten(0, 1), x_Cn @ table.rows)

    grad_BFD = torch.from_numpy(rng.normal(size=(num_rows, num_fields, num_floats)))
    plan = table.plan(batch.ids_N)
    assert plan.unique_U.tolist() == sorted(set(batch.ids_N.tolist()))
    dense_nD = x_Cn.T @ grad_BFD.flatten(0, 1)
    torch.testing.assert_close(table.segment_sum(grad_BFD, batch, plan), dense_nD[plan.unique_U.long()])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), kinds, st.sampled_from([0.0, 0.1]), st.integers(0, 999))
def test_three_steps_equal_dense_autograd_with_rowwise_adagrad(
    num_rows: int, num_fields: int, num_floats: int, kind: str, l2: float, seed: int
):
    rng, num_ids = np.random.default_rng(seed), 6
    config = RowOptimizerConfig(learning_rate=0.3, l2=l2)
    table = random_table(rng, num_ids, num_floats)
    dense_nD = torch.nn.Parameter(table.rows.clone())
    sums_n = torch.zeros(num_ids, dtype=F64)
    for _ in range(3):
        batch = random_batch(rng, num_rows, num_fields, num_ids, kind)
        target_BFD = torch.from_numpy(rng.normal(size=(num_rows, num_fields, num_floats)))

        rows_BFD = table.lookup(batch)
        (rows_BFD * target_BFD).sin().sum().backward()
        assert rows_BFD.grad is not None
        step(table, batch, rows_BFD.grad, config)

        touched = sorted(set(batch.ids_N.tolist()))
        dense_BFD = (incidence(batch, num_ids) @ dense_nD).view_as(target_BFD)
        loss = (dense_BFD * target_BFD).sin().sum() + l2 / 2 * dense_nD[touched].square().sum()
        (grad_nD,) = torch.autograd.grad(loss, dense_nD)
        with torch.no_grad():
            for i in range(num_ids):
                sums_n[i] += grad_nD[i].square().mean()
                dense_nD[i] -= config.learning_rate * grad_nD[i] / (sums_n[i].sqrt() + config.epsilon)

    torch.testing.assert_close(table.rows, dense_nD.detach())
    torch.testing.assert_close(table.accumulators, sums_n)


def test_rows_of_one_float_follow_torchs_adagrad():
    rng, num_ids = np.random.default_rng(0), 20
    table = random_table(rng, num_ids, 1)
    dense_n1 = torch.nn.Parameter(table.rows.clone())
    config = RowOptimizerConfig(learning_rate=0.1, epsilon=1e-6)
    adagrad = torch.optim.Adagrad([dense_n1], lr=0.1, eps=1e-6)
    for _ in range(5):
        batch = random_batch(rng, 8, 3, num_ids, "weighted bags")
        rows_BFD = table.lookup(batch)
        rows_BFD.sigmoid().sum().backward()
        assert rows_BFD.grad is not None
        step(table, batch, rows_BFD.grad, config)

        adagrad.zero_grad()
        (incidence(batch, num_ids) @ dense_n1).sigmoid().sum().backward()
        adagrad.step()
    torch.testing.assert_close(table.rows, dense_n1.detach())


def test_merge_by_hand():
    ids = [torch.tensor([1, 4], dtype=torch.int32), torch.tensor([0, 4], dtype=torch.int32)]
    grads = [torch.tensor([[1.0], [2.0]]), torch.tensor([[8.0], [16.0]])]
    unique_U, grad_UD = merge(ids, grads)
    assert unique_U.tolist() == [0, 1, 4]
    assert grad_UD.tolist() == [[8], [1], [18]]


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_merged_ranks_are_one_batch_of_all_their_rows(num_ranks: int):
    rng = np.random.default_rng(num_ranks)
    whole = random_batch(rng, 6, 4, 10, "weighted")
    assert whole.weights_N is not None
    grad_BFD = torch.from_numpy(rng.normal(size=(6, 4, 3)))
    plan = Table.plan(whole.ids_N)
    expected_UD = Table.segment_sum(grad_BFD, whole, plan)

    ids, grads = [], []
    shares = zip(*(values.chunk(num_ranks) for values in (whole.ids_N, whole.weights_N, grad_BFD)), strict=True)
    for ids_N, weights_N, rank_grad_BFD in shares:
        share = Batch(ids_N=ids_N, weights_N=weights_N, labels_B=torch.zeros(len(rank_grad_BFD)), num_fields=4)
        rank_plan = Table.plan(ids_N)
        ids.append(rank_plan.unique_U)
        grads.append(Table.segment_sum(rank_grad_BFD, share, rank_plan))
    unique_U, grad_UD = merge(ids, grads)
    assert torch.equal(unique_U, plan.unique_U)
    torch.testing.assert_close(grad_UD, expected_UD)


def test_a_new_table_has_w_of_zero_and_v_of_the_deviation_asked_for():
    table = Table.create(20_000, TableConfig(dimension=5, init_deviation=0.3), seed=1)
    assert table.rows.shape == (20_000, 6)
    assert table.rows.dtype == torch.float32
    assert not table.rows[:, 0].any()
    assert not table.accumulators.any()
    v_nK = table.rows[:, 1:]
    assert v_nK.mean().item() == pytest.approx(0, abs=0.005)
    assert v_nK.std().item() == pytest.approx(0.3, abs=0.005)


def test_a_longer_table_starts_with_the_rows_of_a_shorter_one():
    config = TableConfig(dimension=3)
    long = Table.create(70_000, config, seed=5)
    for num_ids in (0, 1, 17, 65_535, 65_536, 65_537):
        assert torch.equal(Table.create(num_ids, config, seed=5).rows, long.rows[:num_ids])


def test_tables_of_different_seeds_differ_and_leave_the_global_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = (Table.create(10, TableConfig(), seed).rows for seed in (1, 2))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
