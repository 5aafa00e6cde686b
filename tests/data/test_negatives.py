"""Which rows without a click a stage goes over that asks for a share of them."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data import feed
from pipeline.data.negatives import Thinning
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart, complete, write_part
from pipeline.data.windows import local_windows
from schemas.days import Span

NUM_ROWS, FIRST, SECOND = 1000, date(2026, 11, 1), date(2026, 11, 2)


def part_of(seed: int, num_rows: int = NUM_ROWS) -> pa.Table:
    """Rows that are numbered, a fifth of them clicks."""
    labels = (np.random.default_rng(seed).random(num_rows) < 0.2).astype(np.uint8)
    return pa.table({"row": np.arange(num_rows), "label": labels})


def kept(thinning: Thinning, table: pa.Table, *cuts: int) -> pa.Table:
    """What stays of a part that is read in several tables."""
    tables = [table.slice(start, stop - start) for start, stop in pairwise([0, *cuts, len(table)])]
    return pa.concat_tables(thinning.kept(tables))


@pytest.mark.parametrize("share", [1.0, 0.5, 1 / 3, 0.1, 0.001])
@pytest.mark.parametrize("phase", [0.0, 0.3, 1 - 2**-32])
def test_every_click_stays_and_as_many_negatives_as_were_foretold(share, phase):
    for seed in range(5):
        table, thinning = part_of(seed), Thinning(share, phase)
        found = kept(thinning, table)
        num_clicks = int(table["label"].to_numpy().sum())
        assert found["label"].to_numpy().sum() == num_clicks
        assert len(found) == num_clicks + thinning.num_kept(NUM_ROWS - num_clicks)
        assert thinning.num_kept(NUM_ROWS - num_clicks) == pytest.approx(share * (NUM_ROWS - num_clicks), abs=1)
        assert found["row"].to_pylist() == sorted(found["row"].to_pylist())


@pytest.mark.parametrize("cuts", [(1,), (500,), (3, 4, 4, 999), tuple(range(1, NUM_ROWS))])
def test_which_rows_stay_does_not_go_by_how_many_are_read_at_a_time(cuts):
    thinning, table = Thinning(0.3, 0.6), part_of(7)
    assert kept(thinning, table, *cuts) == kept(thinning, table)


def test_what_stays_is_spread_over_the_part():
    found = kept(Thinning(0.25, 0.5), pa.table({"row": np.arange(100), "label": np.zeros(100, np.uint8)}))
    assert found["row"].to_pylist() == list(range(1, 100, 4))


def test_of_parts_too_small_for_the_share_some_give_a_row_and_others_none():
    parts = tuple(StoredPart("train", FIRST, index, num_rows=3, num_positives=1) for index in range(1000))
    store = Store("nowhere", 40, parts).of_span(Span(), 0.1)
    assert {store.num_read(part) for part in parts} == {1, 2}
    # 200 of the 2,000 negatives, within four standard deviations of a binomial.
    assert store.num_rows("train") - store.num_positives("train") == pytest.approx(200, abs=4 * (200 * 0.8) ** 0.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two days to train on, of two row groups each, and the rows of one of them to validate on and held out."""
    parts = []
    places: list[tuple[SplitName, date]] = [("train", FIRST), ("train", SECOND), ("validation", FIRST), ("test", FIRST)]
    for split, day in places:
        labels = part_of(day.day, 70_000)["label"].to_numpy()
        rows = Rows(ids=np.arange(70_000, dtype=np.int32), labels=labels.astype(np.float32), num_fields=1)
        parts.append(write_part(str(tmp_path), StoredPart(split, day, 0, len(rows), int(labels.sum())), rows))
    return complete(str(tmp_path), 70_000, parts)


def read(store: Store, split: SplitName) -> Rows:
    return Rows.concatenate(list(local_windows(store, split, 1, 0, 1)))


def test_a_store_reads_what_it_counts_and_leaves_all_that_is_not_trained_on(store):
    thin = store.of_span(Span(oldest=1), 0.1)
    rows = read(thin, "train")
    assert (len(rows), rows.labels.sum()) == (thin.num_rows("train"), thin.num_positives("train"))
    whole = store.of_span(Span(oldest=1))
    assert thin.num_positives("train") == whole.num_positives("train")
    num_negatives = whole.num_rows("train") - whole.num_positives("train")
    assert thin.num_rows("train") - thin.num_positives("train") == pytest.approx(0.1 * num_negatives, abs=1)
    for split in ("validation", "test"):
        assert thin.num_rows(split) == len(read(thin, split)) == 70_000


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_ranks_are_fed_the_rows_that_one_process_reads_and_the_same_in_each_epoch(store):
    thin = store.of_span(Span(), 0.1)
    dataset = feed.dataset(thin, "train")
    for _ in range(2):
        fed = Rows.concatenate(list(feed.windows(dataset.iterator(), 1)))
        np.testing.assert_array_equal(fed.ids, read(thin, "train").ids)
