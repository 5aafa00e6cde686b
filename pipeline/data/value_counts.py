"""How often each value of a field occurs in rows that are met table by table, as on their way to a vocabulary."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from pipeline.data import columns
from schemas.features import FeatureField

COUNTS_SCHEMA = pa.schema([("field", pa.string()), ("value", pa.string()), ("count", pa.int64())])
# Numbers are counted by float32 with the last 12 of 23 mantissa bits cleared: bins of relative width 2^-11, exact for
# integers up to 4,096. Integer counts add up to the same bits in any order, which sums of floats would not.
NUMBER_BIN_MASK = np.uint32(0xFFFFF000)


class ValueCounts:
    """Counts of some tables' values, kept in the types of their columns: most values are text only when they travel."""

    def __init__(self, fields: Sequence[FeatureField]) -> None:
        """Of all of these but those that are hashed, whose values need no counting."""
        self._fields = [field for field in fields if field.encoder.type != "hash"]
        self._counted: dict[str, list[pa.Table]] = {field.name: [] for field in self._fields}

    def add(self, table: pa.Table) -> None:
        """Nulls are not counted."""
        for field in self._fields:
            value, number = _count_field(table.column(field.name), field)
            self._counted[field.name].append(pa.table({"value": value, "count": number}))

    def total(self) -> pa.Table:
        """Columns field, value (as text), count; a value comes as often as a dictionary has it."""
        tables = [COUNTS_SCHEMA.empty_table()]
        for name, counted in self._counted.items():
            if not counted:
                continue
            summed = _added_up(counted)
            names = pa.repeat(pa.scalar(name, pa.string()), len(summed))
            tables.append(pa.table([names, summed["value"].cast(pa.string()), summed["count"]], schema=COUNTS_SCHEMA))
        return pa.concat_tables(tables)


def log_bucket(values: np.ndarray) -> np.ndarray:
    """The bucket that LogBucketEncoder describes, int64; the logarithm itself is never taken of small numbers."""
    size = np.abs(values.astype(np.float64))
    grown = 3 + np.floor(np.log(np.maximum(size, 1.0)) ** 2)
    buckets: np.ndarray = (np.sign(values) * np.where(size > 2, grown, np.floor(size))).astype(np.int64)
    return buckets


def _added_up(counted: Sequence[pa.Table]) -> pa.Table:
    """Of one field; files of a part may hold its values in different types."""
    if len(counted) < 2:
        return (
            counted[0] if counted else pa.table({"value": pa.array([], pa.string()), "count": pa.array([], pa.int64())})
        )
    if len({table.schema.field("value").type for table in counted}) > 1:
        counted = [table.set_column(0, "value", table["value"].cast(pa.large_string())) for table in counted]
    summed = pa.concat_tables(counted).group_by("value", use_threads=False).aggregate([("count", "sum")])
    return summed.rename_columns(["value", "count"])


def _count_field(column: pa.ChunkedArray, field: FeatureField) -> tuple[pa.Array, pa.Array]:
    """(distinct values, how often each occurs)."""
    if field.kind == "multi_valued":
        present, _ = columns.values_of_lists(column)
        return _count(present)
    if field.kind == "categorical":
        return _count(columns.categories(column))
    numbers = columns.numbers(column).drop_null().to_numpy()
    if field.encoder.type == "log_bucket":
        value, number = _runs(log_bucket(numbers))
    else:
        value, number = _runs(numbers.astype(np.float32).view(np.uint32) & NUMBER_BIN_MASK)
        value = value.view(np.float32)
    return pa.array(value), pa.array(number)


def _count(values: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    if pt.is_dictionary(values.type):
        distinct, codes = columns.distinct(values)
        return distinct, pa.array(np.bincount(codes.drop_null().to_numpy(), minlength=len(distinct)), pa.int64())
    values = values.drop_null() if values.null_count else values
    if pt.is_integer(values.type):
        value, number = _runs(values.to_numpy())
        return pa.array(value), pa.array(number)
    counted = pc.value_counts(values)
    value, number = (counted.combine_chunks() if isinstance(counted, pa.ChunkedArray) else counted).flatten()
    return value, number


def _runs(numbers: NDArray[np.generic]) -> tuple[np.ndarray, NDArray[np.int64]]:
    """The same of numbers, by sorting them: processors sort integers faster than they hash them."""
    ordered = np.sort(numbers)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    return ordered[starts], np.diff(np.append(starts, len(ordered)))
