from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from bundles import bundle_logits, write_random_bundle
from click_logs import click_rows

from pipeline.data import vocabulary
from pipeline.registry.bundle import Bundle
from pipeline.registry.eviction import Eviction, FieldEviction, rebuilt_bundle
from schemas.night import EvictionConfig

# Of the eight rows, the last days have seen the first four: users ann and bob, tags a and b, views 0, 1, 2 and 3.
RECENT = slice(0, 4)
UNSEEN = EvictionConfig(unseen_days=30, max_count=100)


@pytest.fixture
def bundle(tmp_path: Path, rows: pa.Table) -> Bundle:
    return write_random_bundle(tmp_path / "old", rows)


def rebuild(bundle: Bundle, folder: Path, eviction: EvictionConfig = UNSEEN) -> tuple[Bundle, Eviction]:
    recent = click_rows().slice(RECENT.start, RECENT.stop)
    summary = rebuilt_bundle(bundle, vocabulary.count(recent, bundle.spec), eviction, folder)
    return Bundle.load(folder), summary


def test_rows_whose_values_all_survive_have_the_same_logits_to_the_bit(bundle, rows, tmp_path):
    new, _ = rebuild(bundle, tmp_path / "new")
    survivors = rows.slice(RECENT.start, RECENT.stop)
    assert np.array_equal(bundle_logits(new, survivors), bundle_logits(bundle, survivors))
    assert len(np.unique(bundle_logits(new, survivors))) == 4
    assert not np.array_equal(bundle_logits(new, rows), bundle_logits(bundle, rows)), "the others' values are gone"


def test_what_went_is_told_field_by_field(bundle, tmp_path):
    _, summary = rebuild(bundle, tmp_path / "new")
    # Row 5's user cat; rows 4's tag c; the buckets of views 10, 100 and -5.
    assert summary.fields == (FieldEviction("user", 3, 2), FieldEviction("tags", 3, 2), FieldEviction("views", 7, 4))
    assert (summary.before, summary.after, summary.num_evicted) == (13, 8, 5)


def test_an_evicted_value_scores_as_one_never_seen(bundle, rows, tmp_path):
    new, _ = rebuild(bundle, tmp_path / "new")
    evicted = rows.slice(4, 2)  # bob and cat; tag c beside others; views 10 and 100
    strangers = evicted.set_column(1, "user", pa.array(["bob", "a stranger"]))
    strangers = strangers.set_column(3, "tags", pa.array([["b", "a stranger", "a"], ["a"]]))
    strangers = strangers.set_column(5, "views", pa.array([10**6, 10**9]))
    assert np.array_equal(bundle_logits(new, evicted), bundle_logits(bundle, strangers))
    assert not np.array_equal(bundle_logits(new, evicted), bundle_logits(bundle, evicted))


@pytest.mark.parametrize(("max_count", "users_left"), [(1, ["ann", "bob"]), (2, ["ann"])])
def test_an_unseen_value_stays_where_it_was_counted_often_enough(bundle, rows, tmp_path, max_count, users_left):
    only_ann = vocabulary.count(rows.slice(0, 1), bundle.spec)
    rebuilt_bundle(bundle, only_ann, EvictionConfig(max_count=max_count), tmp_path / "new")
    values = Bundle.load(tmp_path / "new").vocabulary.values.to_pylist()
    assert [value["value"] for value in values if value["field"] == "user"] == users_left, "bob has two rows, cat one"


def test_each_kept_value_keeps_its_row_and_accumulator(bundle, tmp_path):
    new, _ = rebuild(bundle, tmp_path / "new")

    def rows_of(of: Bundle) -> dict[tuple[str, str], list[float]]:
        floats = torch.column_stack([of.table.rows, of.table.accumulators])[of.vocabulary.num_reserved :].tolist()
        values = of.vocabulary.values.to_pylist()
        return {(value["field"], value["value"]): row for value, row in zip(values, floats, strict=True)}

    old_rows, new_rows = rows_of(bundle), rows_of(new)
    assert new_rows == {value: old_rows[value] for value in new_rows}
    reserved = bundle.vocabulary.num_reserved
    assert new.vocabulary.num_reserved == reserved
    assert torch.equal(new.table.rows[:reserved], bundle.table.rows[:reserved])
    assert torch.equal(new.table.accumulators[:reserved], bundle.table.accumulators[:reserved])


def test_nothing_else_changes(bundle, tmp_path):
    new, _ = rebuild(bundle, tmp_path / "new")
    assert new.contents.model_copy(update={"sha256": {}}) == bundle.contents.model_copy(update={"sha256": {}})
    assert new.contents.calibration is not None
    assert new.vocabulary.fields == bundle.vocabulary.fields
    assert new.vocabulary.spec == bundle.vocabulary.spec
    for name, values in bundle.model.state_dict().items():
        assert torch.equal(new.model.state_dict()[name], values), name


def test_a_rebuild_of_a_rebuild_is_the_same_files(bundle, tmp_path):
    new, _ = rebuild(bundle, tmp_path / "new")
    again, summary = rebuild(new, tmp_path / "again")
    assert summary.num_evicted == 0
    assert again.contents == new.contents, "their files' SHA-256 among them"


def test_the_bundle_that_it_began_with_is_left_as_it_was(bundle, rows, tmp_path):
    before = bundle_logits(bundle, rows)
    rebuild(bundle, tmp_path / "new")
    assert np.array_equal(bundle_logits(Bundle.load(tmp_path / "old" / "bundle"), rows), before)


def test_the_classes_of_a_label_stay_also_those_that_the_last_days_have_not(tmp_path):
    labels = pa.array(["a", "a", "b", "b", "a", "b", "c", "c"])
    rows = click_rows().set_column(click_rows().column_names.index("click"), "click", labels)
    bundle = write_random_bundle(tmp_path / "old", rows, objective="multiclass")
    recent = rows.slice(RECENT.start, RECENT.stop)
    assert rebuilt_bundle(bundle, vocabulary.count(recent, bundle.spec), UNSEEN, tmp_path / "new").num_evicted
    new = Bundle.load(tmp_path / "new")
    assert new.vocabulary.classes == ("a", "b", "c")
    assert np.array_equal(bundle_logits(new, recent), bundle_logits(bundle, recent))
