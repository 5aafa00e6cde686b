from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import store
from pipeline.data.rows import Rows
from pipeline.data.store import StoredPart
from pipeline.data.windows import local_windows, rewindowed


def numbered(start: int, stop: int) -> Rows:
    """Rows of two fields, which tell their numbers."""
    numbers = np.arange(start, stop)
    ids = np.stack([numbers, -numbers], axis=1).astype(np.int32).ravel()
    return Rows(ids=ids, labels=(numbers % 2).astype(np.float32), groups=numbers, num_fields=2)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), max_size=5), window_rows=st.integers(1, 7))
def test_windows_are_the_rows_in_order_whatever_the_blocks_they_come_in(sizes: list[int], window_rows: int):
    ends = np.cumsum([0, *sizes]).tolist()
    windows = list(rewindowed([numbered(*bounds) for bounds in pairwise(ends)], window_rows))
    starts = range(0, ends[-1], window_rows)
    assert [rows.ids.tolist() for rows in windows] == [
        numbered(start, min(start + window_rows, ends[-1])).ids.tolist() for start in starts
    ]


def test_windows_that_lie_within_a_block_are_not_copied():
    block = numbered(0, 10)
    first, second, third = rewindowed([block, numbered(10, 12)], 4)
    assert np.shares_memory(first.ids, block.ids)
    assert np.shares_memory(second.ids, block.ids)
    assert third.groups is not None
    assert third.groups.tolist() == [8, 9, 10, 11], "one that lies in two blocks is put together"


def test_rows_to_train_on_are_read_without_the_groups_that_metrics_go_by(tmp_path: Path):
    written = store.write_part(str(tmp_path), StoredPart("train", date(2026, 11, 1), 0, 5, 2), numbered(0, 5))
    stored = store.complete(str(tmp_path), 10, [written])
    (whole,) = local_windows(stored, "train", 2, 0, 1)
    (trained_on,) = local_windows(stored, "train", 2, 0, 1, with_groups=False)
    assert whole.groups is not None
    assert trained_on.groups is None
    assert trained_on.ids.tolist() == whole.ids.tolist()
