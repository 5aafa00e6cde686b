import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lookups import F64, batch_of, incidence, kinds, random_batch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import Lookup, group_ids, group_ids_padded, sum_cells
from pipeline.embedding.table import Shard, Table, clip
from schemas.config import TableConfig
from schemas.optimization import ClipConfig, EmbeddingConfig


def random_table(rng: np.random.Generator, num_ids: int, num_floats: int) -> Table:
    return Table(torch.from_numpy(rng.normal(size=(num_ids, num_floats))), torch.zeros(num_ids, dtype=F64))


def step(table: Table, batch: Batch, grad_BFD: Tensor, config: EmbeddingConfig, number: int = 0) -> None:
    grouped = group_ids(batch.ids_N)
    grad_UD = sum_cells(grad_BFD.flatten(0, 1), grouped, batch)
    table.update(grouped, table.pull(grouped.unique_U), grad_UD, config, config.learning_rate, number)


def test_lookup_by_hand():
    table = Table(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.zeros(3))
    rows_BFD = table.read(batch_of([2, 0, 1, 1], num_fields=2)).cells()
    assert rows_BFD.tolist() == [[[5, 6], [1, 2]], [[3, 4], [3, 4]]]


def test_lookup_of_bags_by_hand():
    # Cells {0, 0, 2}, {}, {1}, {} with x = 1, 2, 10, 0.5; the second and the fourth are empty.
    table = Table(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.zeros(3))
    batch = batch_of([0, 0, 2, 1], num_fields=2, offsets=[0, 3, 3, 4], weights=[1, 2, 10, 0.5])
    assert table.read(batch).cells().tolist() == [[[53, 66], [0, 0]], [[1.5, 2], [0, 0]]]


def test_lookup_leaves_the_table_as_it_was():
    table = Table(torch.ones(2, 2), torch.zeros(2))
    table.read(batch_of([0, 1], num_fields=2, weights=[5, 7])).cells()
    assert table.rows.tolist() == [[1, 1], [1, 1]]


def test_a_batch_of_nothing_but_empty_bags_changes_nothing():
    table = Table(torch.ones(2, 3), torch.zeros(2))
    batch = batch_of([], num_fields=2, offsets=[0, 0])
    assert table.read(batch).cells().tolist() == [[[0, 0, 0], [0, 0, 0]]]
    step(table, batch, torch.ones(1, 2, 3), EmbeddingConfig(l2=1))
    assert table.rows.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(("ids", "found"), [([0, 7], "0 to 7"), ([0, 5], "0 to 5"), ([-3, 1], "-3 to 1")])
@pytest.mark.parametrize("offsets", [None, [0, 0]])
def test_an_id_without_a_row_is_refused_by_name(ids: list[int], found: str, offsets: list[int] | None):
    table = Table(torch.ones(5, 3), torch.zeros(5))
    with pytest.raises(ValueError, match=rf"ids {found}, .* \(n = 5\)"):
        table.read(batch_of(ids, num_fields=2, offsets=offsets))


def test_update_by_hand():
    # Id 1 twice: g = (1, 3) + (2, 1) = (3, 4), its mean square 12.5, acc = 3.5 + 12.5 = 16; row -= 0.4 g / 4.
    table = Table(torch.tensor([[5.0, 5.0], [1.0, 2.0]]), torch.tensor([9.0, 3.5]))
    step(table, batch_of([1, 1], 2), torch.tensor([[[1.0, 3.0], [2.0, 1.0]]]), EmbeddingConfig(learning_rate=0.4))
    assert table.accumulators.tolist() == [9, 16]
    torch.testing.assert_close(table.rows, torch.tensor([[5.0, 5.0], [1 - 0.3, 2 - 0.4]]))


def test_l2_is_of_the_rows_touched_and_part_of_their_gradient():
    # g = 0 + 0.5 (6, 8) = (3, 4).
    table = Table(torch.tensor([[5.0, 5.0], [6.0, 8.0]]), torch.tensor([9.0, 3.5]))
    step(table, batch_of([1], 1), torch.zeros(1, 1, 2), EmbeddingConfig(learning_rate=0.4, l2=0.5))
    assert table.accumulators.tolist() == [9, 16]
    torch.testing.assert_close(table.rows, torch.tensor([[5.0, 5.0], [6 - 0.3, 8 - 0.4]]))


ROW_OPTIMIZERS = [
    EmbeddingConfig(learning_rate=0.3),
    EmbeddingConfig(learning_rate=0.3, l2=0.1),
    EmbeddingConfig(learning_rate=0.3, weight_decay=0.7),
    EmbeddingConfig(learning_rate=0.3, clip=ClipConfig(ratio=0.5)),
    EmbeddingConfig(name="adam", learning_rate=0.05, l2=0.1, weight_decay=0.7),
]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    kinds,
    st.sampled_from(ROW_OPTIMIZERS),
    st.booleans(),
    st.integers(0, 999),
)
def test_four_steps_equal_dense_autograd_and_a_pass_over_the_whole_table(
    num_rows: int, num_fields: int, num_floats: int, kind: str, config: EmbeddingConfig, is_padded: bool, seed: int
):
    rng, num_ids = np.random.default_rng(seed), 6
    table = random_table(rng, num_ids, num_floats)
    dense_nD, sums_n = torch.nn.Parameter(table.rows.clone()), torch.zeros(num_ids, dtype=F64)
    moments_nD = torch.zeros_like(dense_nD)
    if config.name == "adam":
        table.moments = moments_nD.clone()
    for number in range(4):
        batch = random_batch(rng, num_rows, num_fields, num_ids, kind)
        target_BFD = torch.from_numpy(rng.normal(size=(num_rows, num_fields, num_floats)))

        groups = (group_ids_padded if is_padded else group_ids)(batch.ids_N)
        rows_UD = table.pull(groups.unique_U).requires_grad_()
        (Lookup(rows_UD, groups.index_N, batch, groups).cells() * target_BFD).sin().sum().backward()
        assert rows_UD.grad is not None
        table.update(groups, rows_UD.detach(), rows_UD.grad, config, config.learning_rate, number)

        dense_BFD = (incidence(batch, num_ids) @ dense_nD).view_as(target_BFD)
        (grad_nD,) = torch.autograd.grad((dense_BFD * target_BFD).sin().sum(), dense_nD)
        with torch.no_grad():
            for i in sorted(set(batch.ids_N.tolist())):
                g = grad_nD[i]
                if config.clip is not None:
                    bound = batch.ids_N.tolist().count(i) * max(0.5 * dense_nD[i].norm(), config.clip.floor)
                    g = g * min(1, bound / g.norm()) if g.norm() else g
                g = g + config.l2 * dense_nD[i]
                if config.name == "adam":
                    moments_nD[i] = 0.9 * moments_nD[i] + 0.1 * g
                    sums_n[i] = 0.999 * sums_n[i] + 0.001 * g.square().mean()
                    t = number + 1
                    g, deviation = moments_nD[i] / (1 - 0.9**t), (sums_n[i] / (1 - 0.999**t)).sqrt()
                else:
                    sums_n[i] += g.square().mean()
                    deviation = sums_n[i].sqrt()
                # So that the decay below, of all rows alike, leaves this change as it is.
                decay = 1 - config.learning_rate * config.weight_decay
                dense_nD[i] -= config.learning_rate * g / (deviation + config.epsilon) / decay
            dense_nD *= 1 - config.learning_rate * config.weight_decay

    table.settle()
    torch.testing.assert_close(table.rows, dense_nD.detach())
    torch.testing.assert_close(table.accumulators, sums_n)


@pytest.mark.slow
def test_weight_decay_reaches_rows_that_no_batch_touches_and_survives_ten_thousand_steps():
    # Each step times 1 - 0.1 * 0.5 = 0.95; 0.95^10000 is below the least float64.
    table = Table(torch.ones(3, 2, dtype=F64), torch.zeros(3, dtype=F64))
    config = EmbeddingConfig(learning_rate=0.1, weight_decay=0.5)
    for number in range(1, 10_001):
        step(table, batch_of([0], 1), torch.zeros(1, 1, 2, dtype=F64), config)
        if number == 100:
            torch.testing.assert_close(table.pull(torch.tensor([1])), torch.full((1, 2), 0.95**100, dtype=F64))
    table.settle()
    assert table.rows.isfinite().all()
    assert table.rows.abs().max() < 1e-100


def test_a_clipped_gradient_is_as_long_as_its_row_times_its_count():
    # Row (3, 4) twice in the batch: at most 2 * 5 long; (30, 40) becomes (6, 8). A row of 0: at most floor.
    rows_UD, grad_UD = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[30.0, 40.0], [0.0, 9.0]])
    clipped_UD = clip(grad_UD, rows_UD, torch.tensor([2, 1]), ClipConfig(ratio=1.0, floor=0.5))
    torch.testing.assert_close(clipped_UD, torch.tensor([[6.0, 8.0], [0.0, 0.5]]))


def test_a_gradient_within_its_bound_is_left_as_it_is():
    rows_UD, grad_UD = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[0.3, 0.4], [0.0, 0.0]])
    assert torch.equal(clip(grad_UD, rows_UD, torch.tensor([1, 1]), ClipConfig()), grad_UD)


def test_rows_of_one_float_follow_torchs_adam_of_sparse_gradients():
    rng, num_ids = np.random.default_rng(0), 20
    table = random_table(rng, num_ids, 1)
    table.moments = torch.zeros_like(table.rows)
    dense = torch.nn.Embedding.from_pretrained(table.rows.clone(), freeze=False, sparse=True)
    adam = torch.optim.SparseAdam(dense.parameters(), lr=0.05, eps=1e-15)  # it scales epsilon by another factor
    config = EmbeddingConfig(name="adam", learning_rate=0.05, epsilon=1e-15)
    for number in range(5):
        batch = random_batch(rng, 8, 3, num_ids, "plain")
        rows_BFD = table.read(batch).cells().requires_grad_()
        rows_BFD.sigmoid().sum().backward()
        assert rows_BFD.grad is not None
        step(table, batch, rows_BFD.grad, config, number)

        adam.zero_grad()
        dense(batch.ids_N).sigmoid().sum().backward()
        adam.step()
    torch.testing.assert_close(table.rows, dense.weight.detach())


def test_rows_of_one_float_follow_torchs_adagrad():
    rng, num_ids = np.random.default_rng(0), 20
    table = random_table(rng, num_ids, 1)
    dense_n1 = torch.nn.Parameter(table.rows.clone())
    config = EmbeddingConfig(learning_rate=0.1, epsilon=1e-6)
    adagrad = torch.optim.Adagrad([dense_n1], lr=0.1, eps=1e-6)
    for _ in range(5):
        batch = random_batch(rng, 8, 3, num_ids, "weighted bags")
        rows_BFD = table.read(batch).cells().requires_grad_()
        rows_BFD.sigmoid().sum().backward()
        assert rows_BFD.grad is not None
        step(table, batch, rows_BFD.grad, config)

        adagrad.zero_grad()
        (incidence(batch, num_ids) @ dense_n1).sigmoid().sum().backward()
        adagrad.step()
    torch.testing.assert_close(table.rows, dense_n1.detach())


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


@pytest.mark.parametrize("num_ranks", [2, 3])
@pytest.mark.parametrize("num_ids", [1, 65_537, 70_000])
def test_the_shards_of_a_table_are_its_rows(num_ids: int, num_ranks: int):
    config = TableConfig(dimension=3)
    whole = Table.create(num_ids, config, seed=5)
    for index in range(num_ranks):
        shard = Table.create(num_ids, config, seed=5, shard=Shard(index, num_ranks))
        assert torch.equal(shard.rows, whole.rows[index::num_ranks])


def test_tables_of_different_seeds_differ_and_leave_the_global_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = (Table.create(10, TableConfig(), seed).rows for seed in (1, 2))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
