"""The Arrow schema a FeatureSpec implies, and a check of a Parquet footer or a table against it."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import pyarrow as pa
import pyarrow.types as pt

from schemas.errors import Refusal
from schemas.features import FeatureSpec, Objective


def is_text(kind: pa.DataType) -> bool:
    """Strings, or bytes, which are read as UTF-8."""
    is_string = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    is_bytes = pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind)
    return bool(is_string or is_bytes or pt.is_fixed_size_binary(kind))


def is_list_view(kind: pa.DataType) -> bool:
    return bool(pt.is_list_view(kind) or pt.is_large_list_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """A list a row, of whichever layout; no map."""
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind) or is_list_view(kind))


def _is_category(kind: pa.DataType) -> bool:
    """Floats are, for integers with nulls among them become floats in pandas: what is not whole, the values tell."""
    if pt.is_dictionary(kind):
        return not pt.is_null(kind.value_type) and _is_category(kind.value_type)
    is_scalar = pt.is_integer(kind) or pt.is_boolean(kind) or pt.is_floating(kind)
    return bool(is_text(kind) or is_scalar or pt.is_null(kind))


def _is_category_list(kind: pa.DataType) -> bool:
    return bool((is_list(kind) and _is_category(kind.value_type)) or pt.is_null(kind))


def _is_quantity(kind: pa.DataType) -> bool:
    """A number where none may be missing."""
    if pt.is_dictionary(kind):
        return _is_quantity(kind.value_type)
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(_is_quantity(kind) or pt.is_null(kind))


def _is_label(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return _is_label(kind.value_type)
    return bool(_is_quantity(kind) or pt.is_boolean(kind))


def _is_key(kind: pa.DataType) -> bool:
    return bool(_is_category(kind) and not pt.is_null(kind))


@dataclass(frozen=True, slots=True)
class TypeTest:
    """Which Arrow types a role takes, what they are in words, and the plain one that others are to be cast to."""

    is_right: Callable[[pa.DataType], bool]
    in_words: str
    cast_to: pa.DataType
    otherwise: str = "or give it another kind in the feature spec"
    """What else there is to do about a column of another type."""


CATEGORY = TypeTest(_is_category, "string, integer or boolean", pa.string())
KEY = TypeTest(_is_key, "string, integer or boolean", pa.string())
CATEGORY_LIST = TypeTest(_is_category_list, "list of string, integer or boolean", pa.list_(pa.string()))
NUMBER = TypeTest(_is_number, "integer or floating point", pa.float64())
WEIGHT = TypeTest(_is_quantity, "integer or floating point", pa.float64())
LABEL = TypeTest(
    _is_label,
    "integer, floating point or boolean, of 0 and 1",
    pa.int8(),
    "of classes or numbers, set `objective` in the feature spec to multiclass or regression",
)
CLASS = TypeTest(_is_key, KEY.in_words, pa.string(), "of numbers, set `objective` in the feature spec to regression")
TARGET = TypeTest(
    _is_quantity, WEIGHT.in_words, pa.float64(), "of classes, set `objective` in the feature spec to multiclass"
)
OF_OBJECTIVE: dict[Objective, TypeTest] = {"binary": LABEL, "multiclass": CLASS, "regression": TARGET}
OF_KIND = {"categorical": CATEGORY, "multi_valued": CATEGORY_LIST, "numeric": NUMBER}


def expected_types(spec: FeatureSpec) -> list[tuple[str, TypeTest]]:
    """(column, test of its Arrow type) for each role that a column has, in the order of `spec.columns`."""
    types = [(spec.label, OF_OBJECTIVE[spec.objective])]
    types += [(spec.weight, WEIGHT)] if spec.weight else []
    types += [(spec.group, CATEGORY)] if spec.group else []
    types += [(spec.row_key, KEY)] if spec.row_key else []
    return types + [(field.name, OF_KIND[field.kind]) for field in spec.fields]


OnUnknown = Literal["refuse", "warn"]


def check(
    schema: pa.Schema,
    spec: FeatureSpec,
    where: str,
    *,
    labelled: bool = True,
    unknown_columns: OnUnknown = "refuse",
    known: Collection[str] = (),
) -> tuple[str, ...]:
    """Refuse a schema that lacks a column of the spec, or has one of another type, or one that nobody knows.

    Returns those that neither the spec nor the caller has `known`, where they are not refused. Rows that are only to be
    scored are not `labelled`: of them, features and row key are asked for, and no more.
    """
    expected = expected_types(spec)
    known = {*spec.columns, *spec.ignored, spec.partition, *known}
    unknown = tuple(dict.fromkeys(name for name in schema.names if name not in known))
    if not labelled:
        features_and_key = [(spec.row_key, KEY), *((field.name, OF_KIND[field.kind]) for field in spec.fields)]
        expected = [(column, test) for column, test in features_and_key if column]
    asked = {*(column for column, _ in expected), spec.partition}
    _check_names([name for name in schema.names if labelled or name in asked], where)
    for column, test in expected:
        if column not in schema.names:
            raise Refusal(
                found=f"no column {column!r}" + perhaps_renamed(column, unknown),
                expected=f"column {column!r} of type {test.in_words}",
                where=where,
                remedy="write the column into the log, or change its name in the feature spec",
            )
        _check_type(column, schema.field(column).type, test, where)
    if not labelled:
        return ()
    if unknown and unknown_columns == "refuse":
        raise Refusal(
            found=f"column(s) that the feature spec does not know: {', '.join(map(repr, unknown))}",
            expected="every column of the log to be a field, or named under `ignored`",
            where=where,
            remedy="add each to `fields` if it is known before the click, else to `ignored`; or set "
            "data.unknown_columns to warn",
        )
    return unknown


def _check_type(column: str, kind: pa.DataType, test: TypeTest, where: str) -> None:
    if not test.is_right(kind):
        raise Refusal(
            found=f"column {column!r} of type {kind}",
            expected=test.in_words,
            where=where,
            remedy=_remedy(column, kind, test),
        )


def _check_names(names: list[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refusal(
            found=f"{names.count(twice[0])} columns named {twice[0]!r}",
            expected="every column's name once in a file",
            where=where,
            remedy="leave one of them out, or give it another name, where the log is written",
        )


def perhaps_renamed(column: str, candidates: Sequence[str]) -> str:
    """Which of the candidates the column may be, in words; empty where none is called like it."""
    close = get_close_matches(column, candidates, n=1)
    return f"; perhaps it was renamed to {close[0]!r}" if close else ""


def _remedy(column: str, kind: pa.DataType, test: TypeTest) -> str:
    """The cast to write, or how nested values become columns that a role takes."""
    wanted, is_label = test.cast_to, test in OF_OBJECTIVE.values()
    element = kind.value_type if is_list(kind) else kind
    if pt.is_struct(element):
        return _flattened(column, [field.name for field in element], is_list(kind))
    if pt.is_map(element):
        return _flattened(column, ["keys", "values"], is_list_of_them=True)
    if is_list(element) and is_list(kind):
        return f"flatten the lists of each row into one where the log is written, as a column of type {wanted}"
    if is_list(kind):
        return "give it the kind multi_valued in the feature spec, or write one value a row"
    if is_list(wanted):
        one = pa.list_(element) if _is_category(element) else wanted
        return f"write each value as a list of one, of type {one}, or give it another kind in the feature spec"
    if pt.is_timestamp(element) and not is_label:
        return (
            "where the log is written, add a column of what may matter of it, as "
            f"pyarrow.compute.hour(table[{column!r}]) or day_of_week; name {column!r} under `ignored` if it stays"
        )
    cast = (
        f"cast the column to {wanted} where the log is written: table[{column!r}].cast(pyarrow.{_call(wanted)}) or "
        f"CAST({column} AS {SQL[wanted]})"
    )
    if test is LABEL:
        cast += f"; where it holds words, write 1 for a click: pyarrow.compute.equal(table[{column!r}], 'yes')"
    return f"{cast}; {test.otherwise}"


SQL = {pa.string(): "STRING", pa.float64(): "DOUBLE", pa.int8(): "TINYINT"}


def _call(kind: pa.DataType) -> str:
    return "float64()" if pt.is_float64(kind) else f"{kind}()"


def _flattened(column: str, parts: list[str], is_list_of_them: bool) -> str:
    names = ", ".join(f"{column}_{part}" for part in parts) or "its values"
    each = "a list column each" if is_list_of_them else "a column each"
    return f"flatten it where the log is written, {each}: {names}; name {column!r} under `ignored` if it stays"
