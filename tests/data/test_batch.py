from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.batch import Batch
from pipeline.data.rows import Rows

Bag = list[tuple[int, float]]


class Click(NamedTuple):
    """One row as plain lists: what Rows packs."""

    bags: list[Bag]
    label: float
    row_weight: float
    group: int


def pack(clicks: list[Click], num_fields: int, as_bags: bool = True) -> Rows:
    active = [pair for click in clicks for bag in click.bags for pair in bag]
    lengths = [[len(bag) for bag in click.bags] for click in clicks]
    return Rows(
        ids=np.array([i for i, _ in active], np.int32),
        lengths=np.array(lengths, np.uint16).reshape(len(clicks), num_fields) if as_bags else None,
        weights=np.array([x for _, x in active], np.float32),
        labels=np.array([click.label for click in clicks], np.float32),
        row_weights=np.array([click.row_weight for click in clicks], np.float32),
        groups=np.array([click.group for click in clicks], np.int64),
        num_fields=num_fields,
    )


def unpack(rows: Rows) -> list[Click]:
    assert rows.weights is not None
    assert rows.row_weights is not None
    assert rows.groups is not None
    active = iter(zip(rows.ids.tolist(), rows.weights.tolist(), strict=True))
    lengths = np.ones((len(rows), rows.num_fields), int) if rows.lengths is None else rows.lengths
    bags = [[[next(active) for _ in range(length)] for length in row] for row in lengths.tolist()]
    assert next(active, None) is None
    per_row = (rows.labels.tolist(), rows.row_weights.tolist(), rows.groups.tolist())
    return [Click(*click) for click in zip(bags, *per_row, strict=True)]


def random_clicks(num_rows: int, num_fields: int, as_bags: bool, seed: int) -> list[Click]:
    rng = np.random.default_rng(seed)

    def bag() -> Bag:
        length = int(rng.integers(0, 4)) if as_bags else 1
        return [(int(rng.integers(100)), float(rng.integers(1, 9)) / 4) for _ in range(length)]

    return [
        Click(
            [bag() for _ in range(num_fields)], float(rng.integers(2)), float(rng.integers(1, 5)), int(rng.integers(9))
        )
        for _ in range(num_rows)
    ]


shapes = {
    "num_rows": st.integers(0, 8),
    "num_fields": st.integers(1, 4),
    "as_bags": st.booleans(),
    "seed": st.integers(0, 999),
}


def test_a_batch_of_bags_by_hand():
    # Two rows of two fields: {3}, {} and {1, 1, 2}, {5}.
    rows = Rows(
        ids=np.array([3, 1, 1, 2, 5], np.int32),
        lengths=np.array([[1, 0], [3, 1]], np.uint16),
        labels=np.array([1, 0], np.float32),
        num_fields=2,
    )
    batch = Batch.of(rows, 0, 2)
    assert batch.num_rows == 2
    assert batch.ids_N.tolist() == [3, 1, 1, 2, 5]
    assert batch.offsets_C is not None
    assert batch.offsets_C.tolist() == [0, 1, 1, 4]
    cells_N = batch.cells_N()
    assert cells_N is not None
    assert cells_N.tolist() == [0, 2, 2, 2, 3]
    assert (batch.ids_N.dtype, batch.offsets_C.dtype, cells_N.dtype) == (torch.int32, torch.int32, torch.int32)

    second = Batch.of(rows, 1, 2)
    assert second.ids_N.tolist() == [1, 1, 2, 5]
    assert second.offsets_C is not None
    assert second.offsets_C.tolist() == [0, 3]


def test_where_every_cell_has_one_id_offsets_and_cells_are_left_out():
    rows = Rows(ids=np.arange(6, dtype=np.int32), labels=np.zeros(3, np.float32), num_fields=2)
    batch = Batch.of(rows, 1, 3)
    assert batch.ids_N.tolist() == [2, 3, 4, 5]
    assert batch.offsets_C is None
    assert batch.cells_N() is None
    assert batch.weights_N is None
    assert batch.row_weights_B is None


@pytest.mark.parametrize("lengths", [[0, 0, 0], [2, 0, 0], [0, 0, 2], [0, 1, 0]])
def test_cells_pass_over_empty_bags(lengths: list[int]):
    offsets = np.cumsum([0, *lengths[:-1]], dtype=np.int32)
    batch = Batch(
        ids_N=torch.zeros(sum(lengths), dtype=torch.int32),
        offsets_C=torch.from_numpy(offsets),
        labels_B=torch.zeros(1),
        num_fields=3,
    )
    cells_N = batch.cells_N()
    assert cells_N is not None
    assert cells_N.tolist() == [cell for cell, length in enumerate(lengths) for _ in range(length)]


@settings(max_examples=60, deadline=None)
@given(**shapes, data=st.data())
def test_take_is_a_list_of_the_rows_named(num_rows: int, num_fields: int, as_bags: bool, seed: int, data: Any):
    clicks = random_clicks(num_rows, num_fields, as_bags, seed)
    order = data.draw(st.lists(st.integers(0, num_rows - 1)) if num_rows else st.just([]))
    taken = pack(clicks, num_fields, as_bags).take(np.array(order, np.int64))
    assert unpack(taken) == [clicks[i] for i in order]


@settings(max_examples=60, deadline=None)
@given(**shapes, start=st.integers(0, 8), size=st.integers(0, 8))
def test_slice_is_a_slice_of_the_rows(num_rows: int, num_fields: int, as_bags: bool, seed: int, start: int, size: int):
    clicks = random_clicks(num_rows, num_fields, as_bags, seed)
    start = min(start, num_rows)
    rows = pack(clicks, num_fields, as_bags).slice(start, start + size)
    assert unpack(rows) == clicks[start : start + size]
    assert unpack(rows.slice(1, 3) if len(rows) else rows) == clicks[start : start + size][1:3]


@settings(max_examples=60, deadline=None)
@given(**shapes, start=st.integers(0, 8), size=st.integers(0, 8))
def test_a_batch_holds_the_bags_of_its_rows(
    num_rows: int, num_fields: int, as_bags: bool, seed: int, start: int, size: int
):
    clicks = random_clicks(num_rows, num_fields, as_bags, seed)
    start = min(start, num_rows)
    expected = clicks[start : start + size]
    batch = Batch.of(pack(clicks, num_fields, as_bags), start, start + size)

    cells_N = batch.cells_N()
    cells = list(range(len(batch.ids_N))) if cells_N is None else cells_N.tolist()
    assert batch.weights_N is not None
    found: list[Bag] = [[] for _ in range(batch.num_rows * num_fields)]
    for cell, i, x in zip(cells, batch.ids_N.tolist(), batch.weights_N.tolist(), strict=True):
        found[cell].append((i, x))
    assert found == [bag for click in expected for bag in click.bags]
    assert batch.labels_B.tolist() == [click.label for click in expected]
    assert batch.row_weights_B is not None
    assert batch.row_weights_B.tolist() == [click.row_weight for click in expected]


@pytest.mark.parametrize("as_bags", [False, True])
def test_concatenated_slices_are_the_whole(as_bags: bool):
    clicks = random_clicks(7, 3, as_bags, seed=1)
    rows = pack(clicks, 3, as_bags)
    assert unpack(Rows.concatenate([rows.slice(0, 2), rows.slice(2, 2), rows.slice(2, 7)])) == clicks


def test_concatenating_fills_missing_lengths_and_weights_with_ones():
    plain = Rows(ids=np.array([1, 2], np.int32), labels=np.zeros(1, np.float32), num_fields=2)
    bags = Rows(
        ids=np.array([3, 4, 5], np.int32),
        lengths=np.array([[3, 0]], np.uint16),
        weights=np.array([0.5, 0.25, 2], np.float32),
        labels=np.ones(1, np.float32),
        row_weights=np.array([7], np.float32),
        num_fields=2,
    )
    both = Rows.concatenate([plain, bags])
    assert both.ids.tolist() == [1, 2, 3, 4, 5]
    assert both.lengths is not None
    assert both.lengths.tolist() == [[1, 1], [3, 0]]
    assert both.weights is not None
    assert both.weights.tolist() == [1, 1, 0.5, 0.25, 2]
    assert both.row_weights is not None
    assert both.row_weights.tolist() == [1, 7]
    assert (both.lengths.dtype, both.weights.dtype, both.row_weights.dtype) == (np.uint16, np.float32, np.float32)
    assert both.groups is None


def test_slices_and_batches_copy_nothing():
    rows = pack(random_clicks(5, 2, as_bags=True, seed=2), 2)
    part = rows.slice(1, 4)
    assert np.shares_memory(part.ids, rows.ids)
    assert part.lengths is not None
    assert np.shares_memory(part.lengths, rows.lengths)
    batch = Batch.of(rows, 1, 4)
    assert batch.ids_N.data_ptr() == part.ids.ctypes.data
    assert batch.labels_B.data_ptr() == part.labels.ctypes.data


@pytest.mark.filterwarnings("error")
def test_read_only_arrays_become_a_batch_without_a_copy_or_a_warning():
    ids, labels = np.arange(4, dtype=np.int32), np.ones(2, np.float32)
    ids.flags.writeable = labels.flags.writeable = False
    batch = Batch.of(Rows(ids=ids, labels=labels, num_fields=2), 0, 2)
    assert batch.ids_N.data_ptr() == ids.ctypes.data


def test_all_tensors_move_to_the_device():
    batch = Batch.of(pack(random_clicks(3, 2, as_bags=True, seed=3), 2), 0, 3).to("meta")
    tensors = (batch.ids_N, batch.offsets_C, batch.weights_N, batch.labels_B, batch.row_weights_B)
    assert {tensor.device.type for tensor in tensors if tensor is not None} == {"meta"}


def test_a_mask_is_no_order():
    rows = Rows(ids=np.arange(2, dtype=np.int32), labels=np.zeros(2, np.float32), num_fields=1)
    with pytest.raises(AssertionError, match="mask"):
        rows.take(np.array([False, True]))
