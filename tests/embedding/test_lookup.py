import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lookups import batch_of, incidence, kinds, random_batch
from torch import Tensor

from pipeline.embedding.lookup import Lookup, group_ids, group_ids_padded, sum_cells


def ints(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int32)


def test_a_plan_groups_positions_by_id():
    groups = group_ids(ints(7, 2, 7, 9, 2, 7))
    assert groups.unique_U.tolist() == [2, 7, 9]
    assert groups.order_N.tolist() == [1, 4, 0, 2, 5, 3]
    assert groups.starts_U.tolist() == [0, 2, 5]
    assert groups.index_N.tolist() == [1, 0, 1, 2, 0, 1]
    assert groups.counts_U.tolist() == [2, 3, 1]


def test_a_padded_plan_is_as_long_as_its_ids_and_counts_padding_0_times():
    groups = group_ids_padded(ints(7, 2, 7, 9, 2, 7))
    assert groups.unique_U[:3].tolist() == [2, 7, 9]
    assert set(groups.unique_U[3:].tolist()) <= {2, 7, 9}
    assert groups.starts_U.tolist() == [0, 2, 5, 6, 6, 6]
    assert groups.counts_U.tolist() == [2, 3, 1, 0, 0, 0]
    assert groups.index_N.tolist() == [1, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("make", [group_ids, group_ids_padded])
def test_no_ids_have_a_plan_too(make):
    groups = make(ints())
    assert [len(values) for values in (groups.unique_U, groups.order_N, groups.starts_U, groups.counts_U)] == [0] * 4


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 12), kinds, st.integers(0, 999))
def test_reading_cells_is_a_matrix_product_and_its_gradient_the_transpose(
    num_rows: int, num_fields: int, num_floats: int, num_ids: int, kind: str, seed: int
):
    rng = np.random.default_rng(seed)
    batch = random_batch(rng, num_rows, num_fields, num_ids, kind)
    x_Cn, groups = incidence(batch, num_ids), group_ids(batch.ids_N)
    assert groups.unique_U.tolist() == sorted(set(batch.ids_N.tolist()))
    assert groups.counts_U.tolist() == [batch.ids_N.tolist().count(i) for i in groups.unique_U.tolist()]
    rows_nD = torch.from_numpy(rng.normal(size=(num_ids, num_floats)))
    grad_CD = torch.from_numpy(rng.normal(size=(num_rows * num_fields, num_floats)))

    rows_UD = rows_nD[groups.unique_U].requires_grad_()
    cells_BFD = Lookup(rows_UD, groups.index_N, batch, groups).cells()
    cells_BFD.backward(grad_CD.view_as(cells_BFD))
    torch.testing.assert_close(cells_BFD.detach().flatten(0, 1), x_Cn @ rows_nD)
    assert rows_UD.grad is not None
    torch.testing.assert_close(rows_UD.grad, (x_Cn.T @ grad_CD)[groups.unique_U])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 12), kinds, st.integers(0, 999))
def test_a_padded_plan_sums_what_a_plan_sums_and_0_for_padding(
    num_rows: int, num_fields: int, num_ids: int, kind: str, seed: int
):
    rng = np.random.default_rng(seed)
    batch = random_batch(rng, num_rows, num_fields, num_ids, kind)
    grad_CD = torch.from_numpy(rng.normal(size=(num_rows * num_fields, 3)))
    sums_UD = sum_cells(grad_CD, group_ids(batch.ids_N), batch)
    padded_ND = sum_cells(grad_CD, group_ids_padded(batch.ids_N), batch)
    assert torch.equal(padded_ND[: len(sums_UD)], sums_UD)
    assert not padded_ND[len(sums_UD) :].any()


def test_cells_of_some_columns_in_another_dtype():
    batch, groups = batch_of([1, 0, 1, 1], num_fields=2), group_ids(ints(1, 0, 1, 1))
    rows_UD = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    cells_BFX = Lookup(rows_UD, groups.index_N, batch, groups).cells(torch.bfloat16, first=1)
    assert cells_BFX.dtype == torch.bfloat16
    assert cells_BFX.tolist() == [[[5, 6], [2, 3]], [[5, 6], [5, 6]]]
    cells_BFX.sum().backward()
    assert rows_UD.grad is not None
    assert rows_UD.grad.dtype == torch.float32
    assert rows_UD.grad.tolist() == [[0, 1, 1], [0, 3, 3]]
