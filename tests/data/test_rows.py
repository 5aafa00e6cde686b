"""Rows that keep lengths and weights of some fields alone are, in all that is done with them, those that keep all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.data import packing
from pipeline.data.batch import Batch
from pipeline.data.rows import Rows

fields = st.integers(1, 4).flatmap(
    lambda count: st.tuples(
        st.just(count), *(st.none() | st.lists(st.integers(0, count - 1), min_size=1, unique=True) for _ in range(2))
    )
)


def narrow_and_full(num_rows: int, num_fields: int, lists: list[int] | None, weighted: list[int] | None, seed: int):
    """The same random rows twice: with the lengths of these lists and the weights of these fields, and with all."""
    rng = np.random.default_rng(seed)
    lengths = np.ones((num_rows, num_fields), np.uint16)
    lengths[:, lists or []] = rng.integers(0, 4, (num_rows, len(lists or [])))
    weights_of_cells = np.ones((num_rows, num_fields), np.float32)
    weights_of_cells[:, weighted or []] = rng.integers(2, 99, (num_rows, len(weighted or [])))
    num_ids = int(lengths.sum())
    full = Rows(
        ids=rng.integers(0, 99, num_ids).astype(np.int32),
        lengths=lengths if lists else None,
        weights=np.repeat(weights_of_cells.ravel(), lengths.ravel()) if weighted else None,
        labels=rng.integers(0, 2, num_rows).astype(np.float32),
        row_weights=rng.random(num_rows).astype(np.float32),
        num_fields=num_fields,
    )
    narrow = replace(
        full,
        lengths=lengths[:, sorted(lists)] if lists else None,
        list_fields=tuple(sorted(lists)) if lists else None,
        weights=weights_of_cells[:, sorted(weighted)] if weighted else None,
        weighted_fields=tuple(sorted(weighted)) if weighted else None,
    )
    return narrow, full


def arrays(rows: Rows) -> dict[str, NDArray | None]:
    return {name: getattr(rows, name) for name in ("ids", "lengths", "weights", "labels", "row_weights")}


def tensors(batch: Batch) -> dict[str, list | None]:
    names = ("ids_N", "offsets_C", "weights_N", "labels_B", "row_weights_B")
    values = {name: getattr(batch, name) for name in names}
    return {name: None if value is None else (value.dtype, value.tolist()) for name, value in values.items()}


def assert_equal(found: Rows, expected: Rows) -> None:
    for name, values in arrays(expected).items():
        np.testing.assert_array_equal(arrays(found)[name], values, name)


@settings(max_examples=100, deadline=None)
@given(num_rows=st.integers(0, 6), fields=fields, seed=st.integers(0, 999), data=st.data())
def test_rows_that_keep_what_differs_alone_are_those_that_keep_everything(num_rows, fields, seed, data):
    narrow, full = narrow_and_full(num_rows, *fields, seed)
    assert_equal(narrow.in_full(), full)
    order = np.array(data.draw(st.lists(st.integers(0, num_rows - 1)) if num_rows else st.just([])), np.int64)
    assert_equal(narrow.take(order).in_full(), full.take(order))
    start, stop = data.draw(st.tuples(st.integers(0, num_rows), st.integers(0, num_rows)).map(sorted))
    assert_equal(narrow.slice(start, stop).in_full(), full.slice(start, stop))
    assert tensors(Batch.of(narrow, start, stop)) == tensors(Batch.of(full, start, stop))
    assert_equal(packing.to_rows(packing.to_table(narrow), full.num_fields), narrow)
    assert packing.to_rows(packing.to_table(narrow), full.num_fields).list_fields == narrow.list_fields
    assert_equal(packing.to_rows(packing.to_table(full), full.num_fields), full)
    assert_equal(Rows.concatenate([narrow, full]), full.take(np.tile(np.arange(num_rows), 2)))
    assert_equal(Rows.concatenate([narrow, narrow]).in_full(), full.take(np.tile(np.arange(num_rows), 2)))


@pytest.mark.parametrize("other", [[0], [0, 1], None])
def test_parts_that_keep_different_fields_are_put_together_with_all_of_them(other: list[int] | None):
    (narrow, full), (another, another_full) = narrow_and_full(3, 3, [1], [2], 1), narrow_and_full(2, 3, other, [0], 2)
    both = Rows.concatenate([narrow, another])
    assert_equal(both.slice(0, 3), full)
    assert both.slice(3, 5).ids.tolist() == another_full.ids.tolist()
    assert (
        both.slice(3, 5).lengths.tolist() == np.broadcast_to(another_full.cell_lengths if other else 1, (2, 3)).tolist()
    )
    assert both.slice(3, 5).weights.tolist() == another_full.weights.tolist()
