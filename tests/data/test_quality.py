import pyarrow as pa
import pytest

from pipeline.data.quality import MAX_VALUES, bad_rows, check_rows, sound_rows
from pipeline.data.variety import check_classes
from schemas.errors import Refusal


def test_good_rows_with_missing_values_pass(rows, spec):
    check_rows(rows, spec, "here")
    check_rows(rows.slice(0, 0), spec, "here")


def with_column(rows: pa.Table, name: str, values: list[object], kind: pa.DataType) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pa.array(values, kind))


@pytest.mark.parametrize(
    ("column", "values", "kind", "found"),
    [
        ("click", [0, 1, 2, 0, 0, 0, 0, 2], pa.int8(), "2 (2 such rows)"),
        ("click", [0, 1, None, 0, 0, 0, 0, 0], pa.int8(), "None (1 such rows)"),
        ("click", [0.5] + [0.0] * 7, pa.float32(), "0.5 (1 such rows)"),
        ("price", [float("nan")] + [0.0] * 7, pa.float64(), "nan (1 such rows)"),
        ("price", [None, float("inf")] + [0.0] * 6, pa.float64(), "inf (1 such rows)"),
        ("row", [None] * 2 + [3] * 6, pa.int64(), "2 nulls"),
    ],
)
def test_a_value_that_breaks_the_contract_is_refused_with_an_example(rows, spec, column, values, kind, found):
    with pytest.raises(Refusal) as refusal:
        check_rows(with_column(rows, column, values, kind), spec, "part-7.parquet")
    assert refusal.value.found == found
    assert refusal.value.where == f"part-7.parquet, column {column!r}"


def test_negative_weights_are_refused(rows, spec):
    weighted = spec.model_copy(update={"weight": "price", "group": None, "fields": spec.fields[:1]})
    with pytest.raises(Refusal, match="negative weight"):
        check_rows(with_column(rows, "price", [1.0] * 7 + [-1.0], pa.float64()), weighted, "here")


@pytest.mark.parametrize(("rows", "positives"), [(8, 0), (8, 8), (0, 0)])
def test_rows_of_one_class_are_refused(rows, positives):
    with pytest.raises(Refusal, match="held-out rows"):
        check_classes(rows, positives, "held-out", "here")


def test_bad_rows_are_masked_by_reason_and_a_row_may_have_several(rows, spec):
    bad = with_column(rows, "click", [0, 1, 2, None, 0, 1, 0, 0], pa.int8())
    bad = with_column(bad, "price", [float("inf"), None, float("nan"), 1, 1, 1, 1, 1], pa.float64())
    bad = with_column(bad, "row", [1, 2, 3, 4, 5, 6, 7, None], pa.int64())
    masks = {reason: mask.nonzero()[0].tolist() for reason, mask in bad_rows(bad, spec).items()}
    assert masks == {"click: neither 0 nor 1": [2, 3], "price: not finite": [0, 2], "row: null": [7]}
    assert sound_rows(bad, spec, "here", 0.9)["row"].to_pylist() == [2, 5, 6, 7]


def test_too_long_lists_and_bad_weights_are_bad_rows(rows, spec):
    weighted = spec.model_copy(update={"weight": "price"})
    bad = with_column(rows, "tags", [["a"] * (MAX_VALUES + 1), ["a"] * MAX_VALUES, *[None] * 6], pa.list_(pa.string()))
    bad = with_column(bad, "price", [0, 1, -1, None, 1, 1, 1, float("nan")], pa.float64())
    masks = {reason: mask.nonzero()[0].tolist() for reason, mask in bad_rows(bad, weighted).items()}
    assert masks == {
        "tags: more than 65,535 values": [0],
        "price: not finite": [7],
        "price: null or negative": [2, 3],
    }
    with pytest.raises(Refusal, match="a list of 65,536 values"):
        check_rows(bad, weighted, "here")


def test_rows_without_a_fault_are_all_sound(rows, spec):
    assert bad_rows(rows, spec) == {}
    assert sound_rows(rows, spec, "here", 0.5) == rows
    assert len(sound_rows(rows.slice(0, 0), spec, "here", 0.5)) == 0


def test_where_no_bad_row_may_be_the_first_is_refused(rows, spec):
    with pytest.raises(Refusal, match="7 \\(1 such rows\\)"):
        sound_rows(with_column(rows, "click", [7] + [0] * 7, pa.int8()), spec, "here", 0.0)


@pytest.mark.parametrize(
    ("objective", "values", "kind", "found", "expected"),
    [
        ("multiclass", ["a", None, "b"], pa.string(), "1 nulls", "a class in every row"),
        ("multiclass", [1.0, float("nan"), 2.0], pa.float64(), "1 nulls", "a class in every row"),
        ("multiclass", [1.0, 1.5, 2.0], pa.float64(), "1.5 (1 such rows)", "whole numbers"),
        ("multiclass", [b"a", b"\xff", b"b"], pa.binary(), "b'\\xff' (1 such rows)", "text in UTF-8"),
        ("regression", [0.5, None, -2.0], pa.float32(), "1 nulls", "a number in every row"),
        ("regression", [0.5, float("nan"), -2.0], pa.float32(), "1 nulls", "a number in every row"),
        ("regression", [0.5, float("inf"), -2.0], pa.float64(), "inf (1 such rows)", "finite numbers"),
        ("regression", [0.5, 1e300, -2.0], pa.float64(), "1e+300 (1 such rows)", "which 32 bits hold"),
    ],
)
def test_a_label_that_its_objective_has_not_is_a_bad_row(spec, rows, objective, values, kind, found, expected):
    other = spec.model_copy(update={"objective": objective})
    changed = with_column(rows.slice(0, 3), "click", values, kind)
    with pytest.raises(Refusal) as refusal:
        check_rows(changed, other, "part-7.parquet")
    assert (refusal.value.found, refusal.value.where) == (found, "part-7.parquet, column 'click'")
    assert expected in refusal.value.expected
    assert sound_rows(changed, other, "here", 0.5)["row"].to_pylist() == [rows["row"][i].as_py() for i in (0, 2)]


def test_a_click_that_is_neither_0_nor_1_may_be_of_another_objective(rows, spec):
    with pytest.raises(Refusal, match="set `objective` in the feature spec to multiclass or regression"):
        check_rows(with_column(rows, "click", [7] + [0] * 7, pa.int8()), spec, "here")
