"""Rows of the log as pandas or JSON hold them, turned back into what a Parquet file would hold."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from schemas.errors import Refusal
from schemas.features import FeatureField, FeatureSpec

FIRST_ROUNDED = 2.0**53  # from here on not every integer is a float64


def to_arrow(frame: pd.DataFrame, spec: FeatureSpec) -> pa.Table:
    """The feature columns as a Parquet file would hold them, whatever pandas and JSON have made of them.

    Raises Refusal for a column that is absent or cannot be read.
    """
    absent = [name for name in spec.feature_columns if name not in frame]
    if absent:
        raise Refusal(
            found=f"no column {', '.join(map(repr, absent))}",
            expected=f"the columns {', '.join(spec.feature_columns)}",
            where="the rows to score",
            remedy="send every column; null stands for a missing value",
        )
    return pa.table({field.name: _column(frame[field.name], field) for field in spec.fields})


def _column(values: "pd.Series[Any]", field: FeatureField) -> pa.Array:
    """Element by element, for pandas gives the same values another dtype as soon as one of them is missing."""
    try:
        match field.kind:
            case "categorical":
                return pa.array([_text(value) for value in values], pa.string())
            case "multi_valued":
                return pa.array([_texts(value) for value in values], pa.list_(pa.string()))
            case "numeric":
                return pa.array([None if _is_missing(value) else float(value) for value in values], pa.float64())
    except (TypeError, ValueError) as error:
        raise Refusal(
            found=str(error),
            expected=f"{field.kind.replace('_', '-')} values",
            where=f"column {field.name!r} of the rows to score",
            remedy="send the column as the log holds it",
        ) from error


def _text(value: Any) -> str | None:
    """As Arrow casts it to a string: True is "true". A float that is an integer was one before pandas met a null."""
    if _is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= FIRST_ROUNDED:
            raise ValueError(f"{value:.0f} as a float, which has lost its last digits; send it as text")
        return str(int(value))
    return str(value)


def _texts(value: Any) -> list[str | None] | None:
    if isinstance(value, list | tuple | np.ndarray):
        return [_text(element) for element in value]
    if _is_missing(value):
        return None
    raise TypeError(f"{value!r}, which is no list")


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA; NaN is what differs from itself."""
    return value is None or value is pd.NA or bool(value != value)
