"""Refuse rows whose values break the contract, as they stream by."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from schemas.features import FeatureSpec
from schemas.refusal import Refusal

MAX_VALUES = 65_535  # of a multi-valued field in one row; the store keeps lengths in 16 bits


def check_rows(table: pa.Table, spec: FeatureSpec, where: str) -> None:
    """Refuse labels outside {0, 1}, non-finite numbers, negative weights, null keys; other nulls are missing values."""
    label = table.column(spec.label)
    if label.null_count or not _all(pc.is_in(pc.cast(label, pa.float64()), pa.array([0.0, 1.0]))):
        raise _refusal(spec.label, _example(label, _outside_labels(label)), "0 or 1 in every row", where)
    for field in spec.fields:
        if field.kind == "numeric":
            _check_finite(table.column(field.name), field.name, where)
        if field.kind == "multi_valued":
            _check_length(table.column(field.name), field.name, where)
    if spec.weight:
        weight = table.column(spec.weight)
        _check_finite(weight, spec.weight, where)
        if weight.null_count or not _all(pc.greater_equal(weight, 0)):
            raise _refusal(spec.weight, "a null or a negative weight", "a weight of at least 0 in every row", where)
    if spec.row_key and table.column(spec.row_key).null_count:
        raise _refusal(spec.row_key, f"{table.column(spec.row_key).null_count} nulls", "a key in every row", where)


def check_classes(rows: int, positives: int, what: str, where: str) -> None:
    """Refuse a set of rows that holds no click, or nothing but clicks: no model can be trained or judged on it."""
    if rows == 0 or positives in (0, rows):
        raise Refusal(
            found=f"{rows:,} {what} rows, {positives:,} of them clicks",
            expected="both clicks and rows without a click",
            where=where,
            remedy="choose other dates or a larger share; check that late labels have arrived",
        )


def _check_finite(column: pa.ChunkedArray, name: str, where: str) -> None:
    if pt.is_floating(column.type):
        finite = pc.is_finite(column)
        if not _all(finite):
            found = _example(column, pc.invert(finite))
            raise _refusal(name, found, "finite numbers; null where the value is missing", where)


def _check_length(column: pa.ChunkedArray, name: str, where: str) -> None:
    longest = pc.max(pc.list_value_length(column)).as_py() or 0
    if longest > MAX_VALUES:
        raise _refusal(name, f"a list of {longest:,} values", f"at most {MAX_VALUES:,} values a row", where)


def _outside_labels(label: pa.ChunkedArray) -> pa.ChunkedArray:
    inside = pc.is_in(pc.cast(label, pa.float64()), pa.array([0.0, 1.0]))
    return pc.or_(pc.is_null(label), pc.invert(inside))


def _all(condition: pa.ChunkedArray) -> bool:
    """True for no rows, and where only nulls are left to disagree."""
    return bool(pc.all(condition, min_count=0).as_py())


def _example(column: pa.ChunkedArray, is_bad: pa.ChunkedArray) -> str:
    bad = column.filter(is_bad)
    return f"{bad[0].as_py()!r} ({len(bad):,} such rows)"


def _refusal(column: str, found: str, expected: str, where: str) -> Refusal:
    return Refusal(
        found=found,
        expected=expected,
        where=f"{where}, column {column!r}",
        remedy="correct the rows where the log is written, then write the file again",
    )
