"""A column that is named like the partition must hold the day that the path says."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from pipeline.data import footer
from pipeline.data.footer import Footer
from schemas.errors import Refusal


def is_proven(found: Footer, column: str, day: date) -> bool:
    """Whether a footer's statistics prove that the column holds the day; Refusal where they prove another.

    A file without the column has nothing to prove. Nulls name no other day.
    """
    if column not in found.schema_arrow.names:
        return True
    kind = found.schema_arrow.field(column).type
    _check_type(kind, column, found.uri)
    metadata, is_certain = found.metadata, True
    index = footer.leaf(metadata, column)
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(index)
        if chunk.statistics is not None and chunk.statistics.has_min_max:
            ends = pa.array([chunk.statistics.min, chunk.statistics.max], _plain(kind))
            check(ends, column, day, f"{found.uri}, row group {group}")
        elif chunk.num_values:
            is_certain = False
    return is_certain


def check(values: pa.Array | pa.ChunkedArray, column: str, day: date, where: str) -> None:
    """Refuse a value that is another day than the path's; a time counts by its day, in its own zone."""
    for text in _days(values):
        if text not in (str(day), f"{day:%Y%m%d}"):
            raise Refusal(
                found=f"{text} in column {column!r}",
                expected=f"{day}, the day of the path",
                where=f"{where}, column {column!r}",
                remedy="move the rows into the folder of their day, or leave the column out where the log is written",
            )


def _days(values: pa.Array | pa.ChunkedArray) -> list[str]:
    values = values.cast(_plain(values.type))
    if pt.is_timestamp(values.type) and values.type.tz:
        values = pc.local_timestamp(values)
    if pt.is_timestamp(values.type) or pt.is_date64(values.type):
        values = values.cast(pa.date32())
    return [str(value) for value in pc.unique(values).to_pylist() if value is not None]


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return pa.string() if _is_text(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    is_text = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    return bool(is_text or pt.is_binary(kind) or pt.is_large_binary(kind))


def _check_type(kind: pa.DataType, column: str, uri: str) -> None:
    plain = _plain(kind)
    if not (_is_text(plain) or pt.is_date(plain) or pt.is_timestamp(plain) or pt.is_integer(plain)):
        raise Refusal(
            found=f"column {column!r} of type {kind}, named like the partition",
            expected="the day of the path, as a string, date or timestamp",
            where=uri,
            remedy="leave the column out where the log is written, or write the day into it",
        )
