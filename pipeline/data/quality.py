"""Refuse rows whose values break the contract, or leave them out, as they stream by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import Refusal
from schemas.features import FeatureSpec

MAX_VALUES = 65_535  # of a multi-valued field in one row; the store keeps lengths in 16 bits


@dataclass(frozen=True, slots=True)
class Rule:
    """A clause of the contract: the column, what breaks it, which rows do (True; no nulls), and what is found then."""

    column: str
    broken_by: str
    expected: str
    is_broken: Callable[[pa.ChunkedArray], pa.ChunkedArray]
    describe: Callable[[pa.ChunkedArray], str]


def rules(spec: FeatureSpec) -> list[Rule]:
    """In the order in which they are refused. Nulls of fields break none: they are missing values."""
    of_rows = [Rule(spec.label, "neither 0 nor 1", "0 or 1 in every row", _is_no_label, _example)]
    for field in spec.fields:
        if field.kind == "numeric":
            of_rows.append(_finite(field.name))
        if field.kind == "multi_valued":
            at_most = f"at most {MAX_VALUES:,} values a row"
            of_rows.append(Rule(field.name, f"more than {MAX_VALUES:,} values", at_most, _is_too_long, _longest))
    if spec.weight:
        at_least = "a weight of at least 0 in every row"
        of_rows.append(_finite(spec.weight))
        of_rows.append(
            Rule(spec.weight, "null or negative", at_least, _is_no_weight, lambda _: "a null or a negative weight")
        )
    if spec.row_key:
        of_rows.append(Rule(spec.row_key, "null", "a key in every row", pc.is_null, lambda bad: f"{len(bad)} nulls"))
    return of_rows


def check_rows(table: pa.Table, spec: FeatureSpec, where: str) -> None:
    """Refuse labels outside {0, 1}, non-finite numbers, negative weights, null keys; other nulls are missing values."""
    for rule in rules(spec):
        column = table.column(rule.column)
        is_broken = rule.is_broken(column)
        if pc.any(is_broken).as_py():
            raise Refusal(
                found=rule.describe(column.filter(is_broken)),
                expected=rule.expected,
                where=f"{where}, column {rule.column!r}",
                remedy="correct the rows where the log is written, then write the file again",
            )


def bad_rows(table: pa.Table, spec: FeatureSpec) -> dict[str, np.ndarray]:
    """Reason -> mask over the table's rows, for each rule that any row breaks; a row may break several."""
    masks = {
        f"{rule.column}: {rule.broken_by}": rule.is_broken(table.column(rule.column)).to_numpy() for rule in rules(spec)
    }
    return {reason: mask for reason, mask in masks.items() if mask.any()}


def sound_rows(table: pa.Table, spec: FeatureSpec, where: str, max_bad_share: float) -> pa.Table:
    """The rows that break no rule; with a `max_bad_share` of 0, all of them or a Refusal.

    Whether the share is within its bound only the whole day can tell: `profile.profile_days` counts the bad rows, keeps
    them in quarantine and refuses the day.
    """
    if max_bad_share == 0:
        check_rows(table, spec, where)
        return table
    bad = bad_rows(table, spec)
    return table.filter(pa.array(~np.logical_or.reduce(list(bad.values())))) if bad else table


def check_classes(rows: int, positives: int, what: str, where: str) -> None:
    """Refuse a set of rows that holds no click, or nothing but clicks: no model can be trained or judged on it."""
    if rows == 0 or positives in (0, rows):
        raise Refusal(
            found=f"{rows:,} {what} rows, {positives:,} of them clicks",
            expected="both clicks and rows without a click",
            where=where,
            remedy="choose other dates or a larger share; check that late labels have arrived",
        )


def _finite(column: str) -> Rule:
    expected = "finite numbers; null where the value is missing"
    return Rule(column, "not finite", expected, _is_not_finite, _example)


def _is_no_label(label: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(pc.cast(label, pa.float64(), safe=False), pa.array([0.0, 1.0])))


def _is_not_finite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.is_finite(column)).fill_null(False)


def _is_too_long(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.greater(pc.list_value_length(column), MAX_VALUES).fill_null(False)


def _is_no_weight(weight: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.less(weight, 0).fill_null(True)


def _example(bad: pa.ChunkedArray) -> str:
    return f"{bad[0].as_py()!r} ({len(bad):,} such rows)"


def _longest(bad: pa.ChunkedArray) -> str:
    return f"a list of {pc.max(pc.list_value_length(bad)).as_py():,} values"
