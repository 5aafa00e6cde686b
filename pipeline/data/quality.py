"""Refuse rows whose values break the contract, or leave them out, as they stream by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import columns, target
from schemas.click_log import is_list, is_text
from schemas.errors import Refusal
from schemas.features import FeatureSpec

Classes = Sequence[str]
"""That are known of the label; none before training has found them, and of a label that is no class."""
MAX_NUMBER = float(np.finfo(np.float32).max)
WHOLE = "whole numbers below 2^53 (2^24 of 32 bits), as integers with nulls among them become when they are floats"
AS_INTEGERS = "write the column as nullable integers: df[column].astype('Int64') in pandas, or as text"
ANOTHER_OBJECTIVE = (
    "correct the rows where the log is written, then write the file again; of classes or numbers, set `objective` in "
    "the feature spec to multiclass or regression"
)
NO_CLASS = "none that the training rows have"
OTHER_CLASSES = (
    "train anew on days that have the class, without init_from and under another mlflow.registered_model (models of "
    "other classes are not compared), or let a share of such rows be left out by data.max_bad_share"
)
MAX_VALUES = 65_535  # of a multi-valued field in one row; the store keeps lengths in 16 bits


@dataclass(frozen=True, slots=True)
class Rule:
    """A clause of the contract: the column, what breaks it, which rows do (True; no nulls), and what is found then."""

    column: str
    broken_by: str
    expected: str
    is_broken: Callable[[pa.ChunkedArray], pa.ChunkedArray]
    describe: Callable[[pa.ChunkedArray], str]
    remedy: str = "correct the rows where the log is written, then write the file again"


def rules(spec: FeatureSpec, classes: Classes = ()) -> list[Rule]:
    """In the order in which they are refused. Nulls of fields break none: they are missing values."""
    of_rows = _of_label(spec)
    for field in spec.fields:
        if field.kind == "numeric":
            of_rows += _finite(field.name)
        if field.kind == "multi_valued":
            at_most = f"at most {MAX_VALUES:,} values a row"
            of_rows.append(Rule(field.name, f"more than {MAX_VALUES:,} values", at_most, _is_too_long, _longest))
    if spec.weight:
        at_least = "a weight of at least 0 in every row"
        of_rows += _finite(spec.weight)
        of_rows.append(
            Rule(spec.weight, "null or negative", at_least, _is_no_weight, lambda _: "a null or a negative weight")
        )
    if spec.row_key:
        of_rows.append(Rule(spec.row_key, "null", "a key in every row", _is_missing, lambda bad: f"{len(bad)} nulls"))
    return of_rows + _readable(spec) + ([of_classes(spec, classes)] if classes else [])


def check_features(table: pa.Table, spec: FeatureSpec, where: str) -> None:
    """Refuse rows to be scored that hold what no category can be read of; numbers that training refuses are missing."""
    _check(table, [rule for rule in _readable(spec) if rule.column in spec.feature_columns], where)


def check_rows(table: pa.Table, spec: FeatureSpec, where: str) -> None:
    """Refuse labels that the objective has not, non-finite numbers, negative weights and null keys.

    Other nulls are missing values.
    """
    _check(table, rules(spec), where)


def bad_rows(table: pa.Table, spec: FeatureSpec) -> dict[str, np.ndarray]:
    """Reason -> mask over the table's rows, for each rule that any row breaks; a row may break several."""
    masks = {f"{rule.column}: {rule.broken_by}": _mask(rule, table) for rule in rules(spec)}
    return {reason: mask for reason, mask in masks.items() if mask.any()}


def sound_rows(table: pa.Table, spec: FeatureSpec, where: str, max_bad_share: float, classes: Classes = ()) -> pa.Table:
    """The rows that break no rule; with a `max_bad_share` of 0, all of them or a Refusal.

    Whether the share is within its bound only a whole day can tell: `profiler.profile_days` counts the bad rows, keeps
    them in quarantine and refuses the day; `class_check.unknown_classes` does so with rows of none of the `classes`.
    """
    if max_bad_share == 0:
        _check(table, rules(spec, classes), where)
        return table
    bad = bad_rows(table, spec)
    table = table.filter(pa.array(~np.logical_or.reduce(list(bad.values())))) if bad else table
    return table.filter(pa.array(~_mask(of_classes(spec, classes), table))) if classes else table


def is_of_unknown_class(table: pa.Table, spec: FeatureSpec, classes: Classes) -> np.ndarray:
    """Which rows have a class, and none of these; of the table only the label is looked at."""
    has_class = np.ones(len(table), bool)
    for rule in rules(spec):
        if rule.column == spec.label:
            has_class &= ~_mask(rule, table)
    found = has_class.copy()
    found[has_class] = _mask(of_classes(spec, classes), table.filter(pa.array(has_class)))
    return found


def _check(table: pa.Table, of_rows: Sequence[Rule], where: str) -> None:
    for rule in of_rows:
        is_broken = _mask(rule, table)
        if is_broken.any():
            raise Refusal(
                found=rule.describe(table.column(rule.column).filter(pa.array(is_broken))),
                expected=rule.expected,
                where=f"{where}, column {rule.column!r}",
                remedy=rule.remedy,
            )


def _mask(rule: Rule, table: pa.Table) -> np.ndarray:
    return np.asarray(rule.is_broken(table.column(rule.column)))


def _finite(column: str, where_missing: str = "; null where the value is missing") -> list[Rule]:
    expected = f"finite numbers{where_missing}"
    in_reach = f"numbers from -{MAX_NUMBER:.4g} to {MAX_NUMBER:.4g}, which 32 bits hold{where_missing}"
    return [
        Rule(column, "not finite", expected, _is_not_finite, _example),
        Rule(column, "beyond 32-bit floats", in_reach, _is_too_large, _example),
    ]


def _of_label(spec: FeatureSpec) -> list[Rule]:
    """What is said of classes beyond it stands among the rules of `_readable`."""
    if spec.objective == "binary":
        return [Rule(spec.label, "neither 0 nor 1", "0 or 1 in every row", _is_no_label, _example, ANOTHER_OBJECTIVE)]
    expected = "a class in every row" if spec.objective == "multiclass" else "a number in every row"
    nulls = Rule(spec.label, "null", expected, _is_missing, lambda bad: f"{len(bad):,} nulls")
    return [nulls] if spec.objective == "multiclass" else [nulls, *_finite(spec.label, "")]


def of_classes(spec: FeatureSpec, classes: Classes) -> Rule:
    """That a row's class is one of these."""
    return Rule(
        spec.label,
        NO_CLASS,
        f"one of the {len(classes):,} classes of the training rows: {target.in_words(classes)}",
        lambda column: target.class_numbers(column, classes) < 0,
        _example,
        OTHER_CLASSES,
    )


def _readable(spec: FeatureSpec) -> list[Rule]:
    """Of the columns whose values are told apart: those that are numbers in another role are so as numbers."""
    of_kind = {field.name: field.kind for field in spec.fields}
    keys = [name for name in (spec.group, spec.row_key) if name and of_kind.get(name) != "numeric"]
    classes = [spec.label] if spec.objective == "multiclass" else []
    names = [*(name for name, kind in of_kind.items() if kind != "numeric"), *keys, *classes]
    return [
        rule
        for name in dict.fromkeys(names)
        if name in classes or name not in (spec.label, spec.weight)
        for rule in (
            Rule(name, "not UTF-8", "text in UTF-8", _is_no_text, _bytes_example),
            Rule(name, "no whole number", WHOLE, _is_not_whole, _number_example, AS_INTEGERS),
        )
    ]


def _is_no_label(label: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = pc.cast(columns.numbers(label), pa.float64(), safe=False)
    return pc.invert(pc.is_in(numbers, pa.array([0.0, 1.0])))


def _is_not_finite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.is_finite(columns.numbers(column))).fill_null(False)


def _is_too_large(column: pa.ChunkedArray) -> pa.ChunkedArray | np.ndarray:
    numbers = columns.numbers(column)
    if not pa.types.is_float64(numbers.type):
        return _none(column)
    size = pc.abs(numbers)
    return pc.and_(pc.greater(size, MAX_NUMBER), pc.is_finite(size)).fill_null(False)


def _is_too_long(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.greater(pc.list_value_length(columns.lists(column)), MAX_VALUES).fill_null(False)


def _is_no_weight(weight: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.less(columns.numbers(weight).cast(pa.float64(), safe=False), 0).fill_null(True)


def _is_missing(key: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_null(columns.decoded(key), nan_is_null=True)


def _is_no_text(column: pa.ChunkedArray) -> np.ndarray:
    return _of_values(column, is_text, lambda text: ~columns.is_utf8(text))


def _is_not_whole(column: pa.ChunkedArray) -> np.ndarray:
    return _of_values(
        column, pa.types.is_floating, lambda floats: ~columns.is_whole(columns.decoded(floats)).to_numpy()
    )


def _of_values(
    column: pa.ChunkedArray,
    is_of_type: Callable[[pa.DataType], bool],
    is_broken: Callable[[pa.ChunkedArray], np.ndarray],
) -> np.ndarray:
    """Which rows hold a value, or a list of some, that breaks a rule of this type alone."""
    kind = column.type.value_type if is_list(column.type) else column.type
    if not is_of_type(kind.value_type if pa.types.is_dictionary(kind) else kind):
        return _none(column)
    if not is_list(column.type):
        return is_broken(column)
    of_rows = columns.lists(column)
    of_values = is_broken(pc.list_flatten(of_rows))
    if not of_values.any():
        return _none(column)
    sizes = pc.list_value_length(of_rows).fill_null(0).to_numpy()
    rows = np.repeat(np.arange(len(sizes)), sizes)[of_values]
    return np.bincount(rows, minlength=len(column)) > 0


def _none(column: pa.ChunkedArray) -> np.ndarray:
    return np.zeros(len(column), bool)


def _bytes_example(bad: pa.ChunkedArray) -> str:
    values = pc.list_flatten(columns.lists(bad)) if is_list(bad.type) else bad
    first = columns.raw_bytes(values).filter(pa.array(~columns.is_utf8(values)))[0].as_py()
    return f"{first[:40]!r} ({len(bad):,} such rows)"


def _number_example(bad: pa.ChunkedArray) -> str:
    values = columns.decoded(pc.list_flatten(columns.lists(bad)) if is_list(bad.type) else bad)
    return f"{values.filter(pc.invert(columns.is_whole(values)))[0].as_py()!r} ({len(bad):,} such rows)"


def _example(bad: pa.ChunkedArray) -> str:
    return f"{bad[0].as_py()!r} ({len(bad):,} such rows)"


def _longest(bad: pa.ChunkedArray) -> str:
    return f"a list of {pc.max(pc.list_value_length(columns.lists(bad))).as_py():,} values"
