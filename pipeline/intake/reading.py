"""A block of a file becomes rows of the log, by day, and lines that are left out, each with its number and why."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.intake import text_rows
from pipeline.intake.blocks import Block, Marks, blocks, row_ends
from pipeline.intake.days import ByLine, Days
from pipeline.intake.formats.form import ROW_ID, Format
from pipeline.intake.sources import Source
from pipeline.intake.text_rows import TextRows
from schemas.errors import Refusal

LINES_PER_FILE = 10**12  # at most; so row ids of different files differ
KEPT_CHARACTERS = 2_000  # of a line that is left out


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is left out; `text` is how it begins."""

    file: str
    line: int
    reason: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line:,}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Read:
    """What a block holds."""

    of_days: Mapping[date, pa.Table]
    bad: tuple[BadLine, ...]


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads one file of a format; `number` is its place among the files of the import, from 0."""

    form: Format
    source: Source
    number: int
    by_line: ByLine | None = None
    """The day of its lines, where no column says it."""

    @property
    def num_rows(self) -> int:
        """Nobody knows before it is read."""
        return 0

    def blocks(self, offset: int = 0, line: int = 1) -> Iterator[Block]:
        """Those from `offset` on, as `intake.blocks`. Raises Refusal for another header than the format's, too."""
        marks = self.form.layout.marks
        for block in blocks(self.source, marks, self.form.encoding, offset, line):
            if block.first_line == 1 and self.form.header:
                require_header(block, self.form, self.source)
                yield block.without_header(marks)
            else:
                yield block

    def read(self, block: Block) -> Read:
        """The block's rows, each in its order."""
        if not block.data:
            return Read({}, ())
        in_log = self.form.to_log(text_rows.read(block, self.form.layout))
        rows, days = in_log.rows, in_log.days
        bad = tuple(self._bad_lines(rows, block))
        if self.form.has_row_ids or days is None:
            lines = self._lines(rows, block)
            if self.form.has_row_ids:
                ids = np.ascontiguousarray(self.number * LINES_PER_FILE + lines, np.int64)
                # Of its memory, as it is: pa.array would import pandas first, which takes a fifth of a second.
                column = pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(ids)])
                rows = rows.having(rows.table.add_column(0, ROW_ID, column))
            if days is None:
                assert self.by_line, "neither a column nor the file says which day it is"
                days = self.by_line.of(lines)
        return Read(_by_day(rows.table, days), bad)

    def _lines(self, rows: TextRows, block: Block) -> np.ndarray:
        """The line that each row begins in: of formats without quotes, each row is one."""
        return block.first_line + rows.ordinals

    def _bad_lines(self, rows: TextRows, block: Block) -> Iterator[BadLine]:
        reasons = {bad.ordinal: bad.reason for bad in rows.bad}
        if not reasons:
            return
        for ordinal, (line, content) in enumerate(text_rows.lines_of(block, self.form.layout.marks)):
            if ordinal in reasons:
                text = content.rstrip(b"\r\n")[:KEPT_CHARACTERS].decode("utf-8", "backslashreplace")
                yield BadLine(self.source.uri, line, reasons[ordinal], text)


def header_of(block: Block, marks: Marks) -> tuple[str, ...]:
    """The values of the file's first row."""
    end = next(row_ends(block.data, marks), 0)
    text = block.data[:end].decode("utf-8", "backslashreplace").rstrip("\r\n")
    if marks.quote is None:
        return tuple(text.split(marks.delimiter))
    return tuple(next(csv.reader([text], delimiter=marks.delimiter, quotechar=marks.quote), [])) or ("",)


def require_header(block: Block, form: Format, source: Source) -> None:
    """Raise Refusal where the file's first row is not what the format's files begin with."""
    found = header_of(block, form.layout.marks)
    if found != form.header:
        missing = [name for name in form.header if name not in found]
        others = [name for name in found if name not in form.header]
        said = [f"no column {missing[0]!r}"] if missing else []
        said += [f"a column {others[0][:40]!r}"] if others else []
        raise Refusal(
            found=f"a first line of {len(found)} columns: {' and '.join(said) or 'in another order'}",
            expected=f"{len(form.header)} columns: {', '.join(form.header[:5])}{', ...' * (len(form.header) > 5)}",
            where=f"{source.uri}, line 1",
            remedy="import files of other columns into a log of their own, or correct the first line",
        )


def _by_day(table: pa.Table, days: Days) -> dict[date, pa.Table]:
    if not len(days):
        return {}
    distinct = np.unique(days)
    if len(distinct) == 1:
        return {distinct[0].item(): table}
    if (days[1:] >= days[:-1]).all():  # in the order of time, as most logs are: nothing is copied
        starts = [*np.searchsorted(days, distinct).tolist(), len(days)]
        return {
            day.item(): table.slice(start, end - start)
            for day, (start, end) in zip(distinct, pairwise(starts), strict=True)
        }
    return {day.item(): table.filter(pa.array(days == day)) for day in distinct}
