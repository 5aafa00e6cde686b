"""The Arrow schema a FeatureSpec implies, and a check of a Parquet footer or a table against it."""

from collections import Counter
from collections.abc import Callable
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.types as pt

from schemas.errors import Refusal
from schemas.features import FeatureSpec


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind))


def _is_category(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return _is_category(kind.value_type)
    return bool(_is_text(kind) or pt.is_integer(kind) or pt.is_boolean(kind))


def _is_category_list(kind: pa.DataType) -> bool:
    return bool((pt.is_list(kind) or pt.is_large_list(kind)) and _is_category(kind.value_type))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind))


def _is_label(kind: pa.DataType) -> bool:
    return bool(_is_number(kind) or pt.is_boolean(kind))


TypeTest = tuple[Callable[[pa.DataType], bool], str]

CATEGORY: TypeTest = (_is_category, "string, integer or boolean")
CATEGORY_LIST: TypeTest = (_is_category_list, "list of string, integer or boolean")
NUMBER: TypeTest = (_is_number, "integer or floating point")
LABEL: TypeTest = (_is_label, "integer, floating point or boolean, of 0 and 1")
OF_KIND = {"categorical": CATEGORY, "multi_valued": CATEGORY_LIST, "numeric": NUMBER}


def expected_types(spec: FeatureSpec) -> dict[str, TypeTest]:
    """Column -> (test of its Arrow type, the type in words), in the order of `spec.columns`."""
    types = {spec.label: LABEL}
    if spec.weight:
        types[spec.weight] = NUMBER
    for column in (spec.group, spec.row_key):
        if column:
            types[column] = CATEGORY
    types |= {field.name: OF_KIND[field.kind] for field in spec.fields}
    return types


def check(schema: pa.Schema, spec: FeatureSpec, where: str, *, labelled: bool = True) -> None:
    """Refuse a schema that lacks a column of the spec, has one of another type, or one the spec does not know.

    Rows that are only to be scored are not `labelled`: of them, features and row key are asked for, and no more.
    """
    expected = expected_types(spec)
    known = {*expected, *spec.ignored, spec.partition}
    unknown = [name for name in schema.names if name not in known]
    if not labelled:
        expected = {name: kind for name, kind in expected.items() if name in spec.scoring_columns}
    _check_names([name for name in schema.names if labelled or name in {*expected, spec.partition}], where)
    for column, (is_right, in_words) in expected.items():
        if column not in schema.names:
            raise Refusal(
                found=f"no column {column!r}" + _perhaps_renamed(column, unknown),
                expected=f"column {column!r} of type {in_words}",
                where=where,
                remedy="write the column into the log, or change its name in the feature spec",
            )
        kind = schema.field(column).type
        if not is_right(kind):
            raise Refusal(
                found=f"column {column!r} of type {kind}",
                expected=in_words,
                where=where,
                remedy="cast the column where the log is written, or give it another kind in the feature spec",
            )
    if unknown and labelled:
        raise Refusal(
            found=f"column(s) that the feature spec does not know: {', '.join(map(repr, unknown))}",
            expected="every column of the log to be a field, or named under `ignored`",
            where=where,
            remedy="add each to `fields` if it is known before the click, else to `ignored`",
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


def _perhaps_renamed(column: str, candidates: list[str]) -> str:
    close = get_close_matches(column, candidates, n=1)
    return f"; perhaps it was renamed to {close[0]!r}" if close else ""
