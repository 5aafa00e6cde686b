import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lookups import lookup_of

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import Lookup, group_ids
from pipeline.embedding.table import Table
from pipeline.models.fm import FM, pairwise_interactions


def fm_with(w0: float) -> FM:
    fm = FM()
    torch.nn.init.constant_(fm.w0, w0)
    return fm


def test_fm_of_one_row_by_hand():
    # w0 = .5, w = (1, 2, 3, 4), v_1 = (0, 1), v_2 = (2, 3); the row has features 1 and 2:
    # w0 + w_1 + w_2 + <v_1, v_2> = 0.5 + 2 + 3 + (0*2 + 1*3)
    rows = [[1.0, 9.0, 9.0], [2.0, 0.0, 1.0], [3.0, 2.0, 3.0], [4.0, 9.0, 9.0]]
    table = Table(torch.tensor(rows), torch.zeros(4))
    batch = Batch(ids_N=torch.tensor([1, 2], dtype=torch.int32), labels_B=torch.ones(1), num_fields=2)
    assert fm_with(0.5)(table.read(batch)).tolist() == [8.5]


def test_three_fields_interact_in_three_pairs():
    # <(1, 0), (2, 5)> + <(1, 0), (3, 1)> + <(2, 5), (3, 1)> = 2 + 3 + 11
    v_BFK = torch.tensor([[[1.0, 0.0], [2.0, 5.0], [3.0, 1.0]]])
    assert pairwise_interactions(v_BFK).tolist() == [16]


def test_one_field_has_no_interaction():
    rows_BFD = torch.tensor([[[2.0, 3.0, 4.0]]])
    assert fm_with(1)(lookup_of(rows_BFD)).tolist() == [3]


def test_an_empty_field_adds_nothing():
    rows_BFD = torch.tensor([[[2.0, 3.0], [1.0, 5.0], [0.0, 0.0]]])
    assert fm_with(0)(lookup_of(rows_BFD)).tolist() == [2 + 1 + 15]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_pairwise_interactions_are_the_double_sum(num_rows: int, num_fields: int, dimension: int, seed: int):
    v_BFK = np.random.default_rng(seed).normal(size=(num_rows, num_fields, dimension))
    expected = [sum(float(v[f] @ v[g]) for f in range(num_fields) for g in range(f + 1, num_fields)) for v in v_BFK]
    np.testing.assert_allclose(pairwise_interactions(torch.from_numpy(v_BFK)).numpy(), expected, atol=1e-12)


def test_gradients_are_those_of_the_equation():
    # d/dw0 = d/dw_f = 1, d/dv_f = the sum of the other fields' v.
    rows_BFD = torch.tensor([[[9.0, 1.0], [9.0, 2.0], [9.0, 4.0]]], requires_grad=True)
    fm = fm_with(0)
    fm(lookup_of(rows_BFD, is_grouped=True)).sum().backward()
    assert rows_BFD.grad is not None
    assert rows_BFD.grad.tolist() == [[[1, 6], [1, 5], [1, 3]]]
    assert fm.w0.grad is not None
    assert fm.w0.grad.item() == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(0, 999))
def test_the_closed_form_is_the_equation_and_its_gradient(
    num_rows: int, num_fields: int, dimension: int, num_ids: int, seed: int
):
    rng = np.random.default_rng(seed)
    ids_N = torch.from_numpy(rng.integers(0, num_ids, num_rows * num_fields).astype(np.int32))
    batch = Batch(ids_N=ids_N, labels_B=torch.zeros(num_rows), num_fields=num_fields)
    grouped = group_ids(ids_N)
    rows_UD = torch.from_numpy(rng.normal(size=(len(grouped.unique_U), 1 + dimension))).requires_grad_()
    weights_B = torch.from_numpy(rng.normal(size=num_rows))

    logits_B = fm_with(0.5)(Lookup(rows_UD, grouped.index_N, batch, grouped))
    (grad_UD,) = torch.autograd.grad((logits_B * weights_B).sum(), rows_UD)

    rows_BFD = rows_UD[grouped.index_N].view(num_rows, num_fields, -1)
    expected_B = 0.5 + rows_BFD[:, :, 0].sum(dim=1) + pairwise_interactions(rows_BFD[:, :, 1:])
    (expected_UD,) = torch.autograd.grad((expected_B * weights_B).sum(), rows_UD)
    torch.testing.assert_close(logits_B, expected_B)
    torch.testing.assert_close(grad_UD, expected_UD)
