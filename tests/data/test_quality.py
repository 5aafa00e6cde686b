import pyarrow as pa
import pytest

from pipeline.data.quality import check_classes, check_rows
from schemas.refusal import Refusal


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
