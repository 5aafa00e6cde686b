"""CSV and its kin: a first line that names the columns, values parted by a character, quoted where they hold it.

What a column holds, whole numbers, numbers or text, its first values tell (`columns`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from pipeline.intake.blocks import Encoding, Marks
from pipeline.intake.formats.form import LogRows
from pipeline.intake.text_rows import Layout, TextRows, value_reason
from pipeline.intake.times import days_of

ColumnKind = Literal["text", "integer", "number"]
TYPES: dict[ColumnKind, pa.DataType] = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}
NULLS = ("", "NULL", "null", "NA", "N/A", "NaN", "nan", "None", "\\N")
CLICKS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "no": 0, "yes": 1, "n": 0, "y": 1, "f": 0, "t": 1}
DAY_COLUMN = "date"  # the folders' key, which a column of a file may not contradict


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is said of CSV files that they do not say themselves."""

    delimiter: str = ","
    quote: str | None = '"'
    nulls: tuple[str, ...] = NULLS
    encoding: Encoding = "utf-8"
    columns: tuple[str, ...] = ()
    """Their names, where no first line has them."""

    @property
    def marks(self) -> Marks:
        return Marks(self.delimiter, self.quote)


@dataclass(frozen=True, slots=True)
class Delimited:
    """Files of the same columns."""

    kinds: Mapping[str, ColumnKind]
    """Of each column, in the order of a line."""
    dialect: Dialect = Dialect()
    label: str | None = None
    """Whose values become 0 and 1: true and false, yes and no."""
    timestamp: str | None = None
    """That says which day a row is of."""
    timezone: str = "UTC"
    name: ClassVar[str] = "csv"
    has_row_ids: ClassVar[bool] = False
    spec: ClassVar[None] = None

    @property
    def layout(self) -> Layout:
        as_text = {self.label, self.timestamp}
        types = {name: pa.string() if name in as_text else TYPES[kind] for name, kind in self.kinds.items()}
        return Layout(types, self.dialect.marks, self.dialect.nulls)

    @property
    def header(self) -> tuple[str, ...]:
        return () if self.dialect.columns else tuple(self.kinds)

    @property
    def timezone_of_days(self) -> str | None:
        return self.timezone if self.timestamp else None

    @property
    def encoding(self) -> Encoding:
        return self.dialect.encoding

    def to_log(self, rows: TextRows) -> LogRows:
        """The columns of the file; one that is called as the days' folders are is left to these."""
        if self.label:
            rows = _with_clicks(rows, self.label)
        if not self.timestamp:
            return LogRows(rows)
        times = rows.table.column(self.timestamp)
        days, is_none = days_of(times, self.timezone)
        wanted = "a time, as 2026-11-19 08:30:00 or seconds since 1970,"
        rows = rows.without(is_none, lambda row: value_reason(times, row, str(self.timestamp), wanted))
        if self.timestamp == DAY_COLUMN:
            rows = rows.having(rows.table.drop_columns([DAY_COLUMN]))
        return LogRows(rows, days[~is_none])


def _with_clicks(rows: TextRows, label: str) -> TextRows:
    words = rows.table.column(label)
    distinct = words.combine_chunks().dictionary_encode()
    known = [CLICKS.get(word.strip().lower(), -1) for word in distinct.dictionary.to_pylist()]
    codes = distinct.indices.fill_null(len(known)).to_numpy()
    clicks = np.array([*known, -1], np.int8)[codes]
    rows = rows.without(clicks < 0, lambda row: value_reason(words, row, label, "0 or 1, yes or no, true or false,"))
    return rows.having(
        rows.table.set_column(rows.table.column_names.index(label), label, pa.array(clicks[clicks >= 0]))
    )
