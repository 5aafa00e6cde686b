"""Rows of the log as pandas or JSON hold them, turned back into what a Parquet file would hold."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from schemas.errors import Refusal
from schemas.features import FeatureField, FeatureSpec

FIRST_ROUNDED = 2.0**53  # from here on not every integer is a float64
BULK_ROWS = 24  # below it, looking at each value costs less than asking Arrow


def to_frame(rows: Any, spec: FeatureSpec) -> pd.DataFrame:
    """What MLflow hands on: a frame, a list of records, a record, or columns of values by their names.

    A record is told from columns by a field of one value that holds one. Its scoring server cannot read columns of
    lists of several lengths; records it can. Raises Refusal for columns of several lengths.
    """
    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, list | np.ndarray):
        return pd.DataFrame([_as_sent(row) if isinstance(row, Mapping) else row for row in rows])
    if not isinstance(rows, Mapping):
        return pd.DataFrame([rows])
    of_one_value = [field.name for field in spec.fields if field.kind != "multi_valued" and field.name in rows]
    if any(not _is_list(rows[name]) for name in of_one_value):
        return pd.DataFrame([_as_sent(rows)])
    columns = {name: [*map(_unwrapped, values)] for name, values in rows.items() if _is_list(values)}
    of_length = {len(values): name for name, values in columns.items()}
    if len(of_length) > 1:
        raise Refusal(
            found=", ".join(f"{length:,} values of {name!r}" for length, name in of_length.items()),
            expected="as many of each column",
            where="the rows to score",
            remedy="send every column whole; null stands for a missing value",
        )
    return pd.DataFrame(columns)


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
    twice = [] if frame.columns.is_unique else [*frame.columns[frame.columns.duplicated()]]
    if named := [name for name in spec.feature_columns if name in twice]:
        raise Refusal(
            found=f"several columns {', '.join(map(repr, named))}",
            expected="one column of each name",
            where="the rows to score",
            remedy="send the columns that the log has, under its names",
        )
    return pa.table({field.name: _column(frame[field.name], field) for field in spec.fields})


def _column(values: "pd.Series[Any]", field: FeatureField) -> pa.Array:
    read = in_bulk(values, field) if len(values) >= BULK_ROWS else None
    return one_by_one(values, field) if read is None else read


def in_bulk(values: "pd.Series[Any]", field: FeatureField) -> pa.Array | None:
    """What `one_by_one` makes of values that Arrow reads as ones of a single type; None where it cannot be sure to."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = in_bulk(values.cat.categories.to_series(), field)
        codes = values.cat.codes.to_numpy()
        return None if categories is None else categories.take(pa.array(codes, mask=codes < 0))
    try:
        read = pa.array(values, from_pandas=True)
        array = read.combine_chunks() if isinstance(read, pa.ChunkedArray) else read
        array = array.dictionary_decode() if pt.is_dictionary(array.type) else array
        if values.dtype == object and _hides_booleans(values, array.type):
            return None
        match field.kind:
            case "categorical":
                return _texts_in_bulk(array)
            case "multi_valued":
                return _lists_in_bulk(array)
            case "numeric":
                return _floats(array)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None  # the look at each value finds what is amiss, or that nothing is


def _hides_booleans(values: "pd.Series[Any]", read_as: pa.DataType) -> bool:
    """Whether there are some among numbers, as one of which Arrow reads them: numpy's, and Python's among floats."""
    of_lists = pt.is_list(read_as)
    kind = read_as.value_type if of_lists else read_as
    if not pt.is_integer(kind) and not pt.is_floating(kind):
        return False
    types = {*map(type, chain.from_iterable(values.dropna()) if of_lists else values)}
    return not types.isdisjoint((bool, np.bool_))


def _texts_in_bulk(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if _is_text(kind):
        return array
    if pt.is_null(kind) or pt.is_boolean(kind) or pt.is_integer(kind):
        return array.cast(pa.string())
    floats = _floats(array) if pt.is_floating(kind) else None
    if floats is None:
        return None
    numbers = floats.to_numpy(zero_copy_only=False)
    is_whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < FIRST_ROUNDED)
    return floats.cast(pa.int64()).cast(pa.string()) if (is_whole | np.isnan(numbers)).all() else None


def _lists_in_bulk(array: pa.Array) -> pa.Array | None:
    if pt.is_null(array.type):
        return array.cast(pa.list_(pa.string()))
    if not pt.is_list(array.type) and not pt.is_large_list(array.type):
        return None
    if _is_text(array.type.value_type):
        return array
    texts = _texts_in_bulk(array.values)
    if texts is None:
        return None
    of_type = pa.LargeListArray if pt.is_large_list(array.type) else pa.ListArray
    return of_type.from_arrays(array.offsets, texts, mask=array.is_null())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind))


def _floats(array: pa.Array) -> pa.Array | None:
    """As 64 bits; NaN is null."""
    kind = array.type
    if not (pt.is_null(kind) or pt.is_boolean(kind) or pt.is_integer(kind) or pt.is_floating(kind)):
        return None
    numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return pa.array(numbers, pa.float64(), from_pandas=True)


def one_by_one(values: "pd.Series[Any]", field: FeatureField) -> pa.Array:
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
    if isinstance(value, str):
        return str.__str__(value)  # an Enum's value, not its name
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
    if isinstance(value, list | tuple | set | np.ndarray):
        return [_text(element) for element in value]
    if _is_missing(value):
        return None
    raise TypeError(f"{value!r}, which is no list")


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA; NaN is what differs from itself."""
    return value is None or value is pd.NA or bool(value != value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | pd.Series) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _as_sent(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _unwrapped(value) for name, value in record.items()}


def _unwrapped(value: Any) -> Any:
    """MLflow's scoring server puts JSON's values into arrays of no dimension."""
    return value.item() if isinstance(value, np.ndarray) and not value.ndim else value
