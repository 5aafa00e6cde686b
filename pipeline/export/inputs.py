"""What a graph takes of a row: the log's columns under their names, and how a value that is missing is said.

ONNX has no null. A text that is missing is U+FFFF, which Unicode keeps for such marks and gives to no text; an integer
is the smallest of 64 bits; a number is NaN. An empty text is a value like any other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.data import columns
from schemas.features import FeatureSpec, Objective
from schemas.scores import PREDICTION, PROBABILITY

MISSING_TEXT = "\uffff"
MISSING_INTEGER = -(2**63)
LENGTHS = "_lengths"
ROWS = "rows"  # a dimension's name
Type = Literal["string", "int64", "double"]
Holds = Literal["category", "number", "list", "lengths"]
NUMPY_TYPES: dict[Type, Any] = {"string": object, "int64": np.int64, "double": np.float64}


@dataclass(frozen=True, slots=True)
class Input:
    """`shape`: a number of rows, and of a list's places, which all rows are filled up to."""

    name: str
    column: str
    """Of the log."""
    holds: Holds
    type: Type
    shape: tuple[str, ...]


def inputs_of(spec: FeatureSpec, integers: Collection[str]) -> list[Input]:
    """In the order of the fields, a list's lengths behind it. `integers`: the categories that are sent as such."""
    found = []
    for field in spec.fields:
        name = field.name
        of_categories: Type = "int64" if name in integers else "string"
        match field.kind:
            case "categorical":
                found.append(Input(name, name, "category", of_categories, (ROWS,)))
            case "numeric":
                found.append(Input(name, name, "number", "double", (ROWS,)))
            case "multi_valued":
                found.append(Input(name, name, "list", of_categories, (ROWS, f"{name} of a row")))
                found.append(Input(name + LENGTHS, name, "lengths", "int64", (ROWS,)))
    return found


def output_name(objective: Objective) -> str:
    """What comes out is called."""
    return PREDICTION if objective == "regression" else PROBABILITY


def feeds(table: pa.Table, spec: FeatureSpec, integers: Collection[str]) -> dict[str, NDArray[Any]]:
    """Rows of the log as the graph takes them."""
    found: dict[str, NDArray[Any]] = {}
    for field in spec.fields:
        column = table.column(field.name)
        if field.kind == "numeric":
            found[field.name] = columns.numbers(column).cast(pa.float64(), safe=False).to_numpy()
            continue
        missing, kind = (MISSING_INTEGER, pa.int64()) if field.name in integers else (MISSING_TEXT, pa.string())
        dtype = NUMPY_TYPES["int64" if field.name in integers else "string"]
        if field.kind == "categorical":
            filled = columns.categories(column).cast(kind).fill_null(missing)
            found[field.name] = np.array(filled.to_pylist(), dtype)
            continue
        lists = [one or [] for one in column.cast(pa.list_(kind)).to_pylist()]
        width = max(map(len, lists), default=0)
        padded = [[*one, *[None] * (width - len(one))] for one in lists]
        filled = [missing if value is None else value for one in padded for value in one]
        found[field.name] = np.array(filled, dtype).reshape(len(lists), width)
        found[field.name + LENGTHS] = np.array([*map(len, lists)], np.int64)
    return found


def in_json(values: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """JSON has no NaN: it is the text "NaN" there, of which Python and JavaScript make the number again."""
    return {name: _in_json(array.tolist()) for name, array in values.items()}


def _in_json(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_in_json, value)]
    return "NaN" if value != value else value
