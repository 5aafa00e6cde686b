"""A block of delimited text becomes a table by pyarrow's CSV reader; rows that it cannot take are told apart, with why.

Most blocks hold none, and are read at once into the types that are wanted. In one that does, every cell is looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.intake.blocks import Block, Marks, num_line_ends, row_ends

INTEGER = r"^-?\d{1,19}$"
NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
REPLACEMENT = "\ufffd"
SHOWN_CHARACTERS = 40  # of a value, in a reason
Mask = NDArray[np.bool_]
Reason = Callable[[int], str]
"""Of the row of a table, why it is left out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line holds values: the columns and their types in the order of the line, what parts them, what is null."""

    types: Mapping[str, pa.DataType]
    marks: Marks
    nulls: Sequence[str] = ("",)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out, by its place among the rows of its block."""

    ordinal: int
    reason: str


@dataclass(frozen=True, slots=True)
class TextRows:
    """The rows of a block that could be read, the place of each in it, and those that could not."""

    table: pa.Table
    ordinals: NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()

    def without(self, is_bad: Mask, reason: Reason) -> "TextRows":
        """Leave out some rows of the table."""
        if not is_bad.any():
            return self
        bad = [BadRow(int(self.ordinals[row]), reason(int(row))) for row in np.flatnonzero(is_bad)]
        return TextRows(self.table.filter(pa.array(~is_bad)), self.ordinals[~is_bad], (*self.bad, *bad))

    def dropping(self, is_none: Mask) -> "TextRows":
        """Leave out lines that are no rows, of which nothing is to be told."""
        return TextRows(self.table.filter(pa.array(~is_none)), self.ordinals[~is_none], self.bad)

    def having(self, table: pa.Table) -> "TextRows":
        """The same rows, with other columns."""
        return TextRows(table, self.ordinals, self.bad)


def read(block: Block, layout: Layout) -> TextRows:
    """The block's rows by the layout's types. Blank lines are no rows."""
    data, is_utf8 = block.data, _is_utf8(block.data)
    if is_utf8 and b"\0" not in data:
        try:
            table, malformed = _parsed(data, layout, layout.types)
        except pa.ArrowInvalid:  # a value that is not of its column's type
            table = None
        if table is not None and _are_finite(table):
            rows = _with_places(table, malformed)
            return _without_blanks(rows, block, layout.marks) if _may_have_blanks(table, block, layout) else rows
    text = data if is_utf8 else data.decode("utf-8", "replace").encode()
    rows = _without_blanks(
        _with_places(*_parsed(text, layout, dict.fromkeys(layout.types, pa.string()))), block, layout.marks
    )
    if not is_utf8:
        broken = [ordinal for ordinal, (_, line) in enumerate(lines_of(block, layout.marks)) if not _is_utf8(line)]
        table = rows.table
        rows = rows.without(np.isin(rows.ordinals, broken), lambda row: f"{_broken(table, row)} is not UTF-8")
    return _converted(rows, layout)


def _broken(table: pa.Table, row: int) -> str:
    """The column whose bytes were replaced to be read at all."""
    names: list[str] = table.column_names
    return next(name for name in names if REPLACEMENT in (table.column(name)[row].as_py() or ""))


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(data: bytes, layout: Layout, types: Mapping[str, pa.DataType]) -> tuple[pa.Table, list[BadRow]]:
    malformed: list[BadRow] = []

    def leave_out(row: pyarrow.csv.InvalidRow) -> str:
        wanted = f"{row.expected_columns} are expected"
        malformed.append(BadRow(row.number - 1, f"{row.actual_columns} columns, where {wanted}"))
        return "skip"

    quote = layout.marks.quote
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        # Rows are numbered only on one thread; one block, lest a long row lies in two.
        pyarrow.csv.ReadOptions(column_names=list(types), block_size=len(data) + 1, use_threads=False),
        pyarrow.csv.ParseOptions(
            delimiter=layout.marks.delimiter,
            quote_char=quote or False,
            newlines_in_values=quote is not None,
            ignore_empty_lines=False,  # they count as rows, by which lines are found
            invalid_row_handler=leave_out,
        ),
        pyarrow.csv.ConvertOptions(column_types=types, null_values=list(layout.nulls), strings_can_be_null=True),
    )
    return table, malformed


def _with_places(table: pa.Table, malformed: Sequence[BadRow]) -> TextRows:
    ordinals = np.arange(len(table) + len(malformed))
    return TextRows(table, np.delete(ordinals, [bad.ordinal for bad in malformed]), tuple(malformed))


def _may_have_blanks(table: pa.Table, block: Block, layout: Layout) -> bool:
    """Blank lines are rows of nulls. To look for two line ends takes a third of the time that rows are read in."""
    if "" in layout.nulls and table.column(0).null_count == 0:
        return False
    data = block.data
    return data.startswith((b"\n", b"\r")) or any(two in data for two in (b"\n\n", b"\n\r", b"\r\r"))


def _are_finite(table: pa.Table) -> bool:
    """Whether no number is infinite or NaN, as pyarrow reads `inf` and 1e999."""
    numbers = (column for column in table.columns if pa.types.is_floating(column.type))
    return all(pc.all(pc.is_finite(column)).as_py() is not False for column in numbers)


def _without_blanks(rows: TextRows, block: Block, marks: Marks) -> TextRows:
    blank = [ordinal for ordinal, (_, text) in enumerate(lines_of(block, marks)) if not text.strip(b"\r\n")]
    return rows.dropping(np.isin(rows.ordinals, blank))


def lines_of(block: Block, marks: Marks) -> Iterator[tuple[int, bytes]]:
    """Each row of the block as it stands there, and the number of the line that it begins in."""
    start, line = 0, block.first_line
    for end in row_ends(block.data, marks):
        yield line, block.data[start:end]
        line += num_line_ends(block.data, start, end)
        start = end


def _converted(rows: TextRows, layout: Layout) -> TextRows:
    """From text to the layout's types, without the rows that have a value that cannot be."""
    for name, kind in layout.types.items():
        has_nul = pc.match_substring(rows.table.column(name), "\0").fill_null(False).to_numpy()
        rows = rows.without(has_nul, _says(f"{name} has a NUL byte"))
        text = rows.table.column(name)
        if not pa.types.is_string(kind):
            text = pc.utf8_trim_whitespace(text)
            is_bad, wanted = _is_none(text, kind)
            rows = rows.having(rows.table.set_column(rows.table.column_names.index(name), name, text))
            rows = rows.without(is_bad, _value_reason(text, name, wanted))
            text = rows.table.column(name)
        rows = rows.having(rows.table.set_column(rows.table.column_names.index(name), name, text.cast(kind)))
    return rows


def _is_none(text: pa.ChunkedArray, kind: pa.DataType) -> tuple[Mask, str]:
    """Which values are no numbers of this type, and what is wanted of them."""
    if not pa.types.is_integer(kind):
        return are_no_numbers(text), "a finite number"
    is_bad = _matches_not(text, INTEGER)
    most = 2 ** (kind.bit_width - 1)
    digits = len(str(most))
    for row in np.flatnonzero(pc.greater_equal(pc.utf8_length(text), digits).fill_null(False).to_numpy() & ~is_bad):
        is_bad[row] = not -most <= int(text[int(row)].as_py()) < most
    return is_bad, "a whole number"


def are_no_numbers(text: pa.ChunkedArray | pa.Array) -> Mask:
    """Which texts are no finite numbers, as 1e999 is none; null is not looked at."""
    is_bad = _matches_not(text, NUMBER)
    numbers = pc.if_else(pa.array(is_bad), None, text).cast(pa.float64())
    is_bad |= np.asarray(pc.invert(pc.is_finite(numbers)).fill_null(False))
    return is_bad


def _matches_not(text: pa.ChunkedArray | pa.Array, pattern: str) -> Mask:
    return np.array(pc.invert(pc.match_substring_regex(text, pattern)).fill_null(False))


def _says(reason: str) -> Reason:
    return lambda _: reason


def _value_reason(values: pa.ChunkedArray, name: str, wanted: str) -> Reason:
    return lambda row: value_reason(values, row, name, wanted)


def value_reason(values: pa.ChunkedArray | pa.Array, row: int, name: str, wanted: str) -> str:
    """Of a value that is not what is wanted of its column."""
    return f"{name} is {shown(values[row].as_py())}, where {wanted} is expected"


def shown(value: object) -> str:
    """A value in words, shortened."""
    if value is None:
        return "missing"
    return repr(value[:SHOWN_CHARACTERS] if isinstance(value, str) else value)
