"""A file of text as blocks of bytes that end where a row ends, each with its first line's number.

Where a block ends depends on where it begins and on nothing else, so that an import that goes on in the midst of a file
meets the blocks that an undisturbed one does.
"""

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.intake.sources import Source, opened
from schemas.errors import Refusal

Encoding = Literal["utf-8", "latin-1", "cp1252"]  # of which newline, quote and delimiter are the bytes of ASCII
BLOCK_BYTES = 1 << 20  # what fits into a processor's cache is parsed fastest
MOST_ROW_BYTES = 64 << 20
LINE_END = re.compile(rb"\r\n?|\n")
PACKED = "give it the ending that says so, {}"
NO_TEXT = {
    b"PAR1\x15": ("a Parquet file", "name CSV; Parquet is no import: `nightjar init` looks at it where it lies"),
    b"PK\x03\x04": ("a zip archive, or a spreadsheet", "unpack it, or save the sheet as CSV"),
    b"\x1f\x8b\x08": ("a packed file, by its first bytes gzip", PACKED.format(".gz")),
    b"\x28\xb5\x2f\xfd": ("a packed file, by its first bytes zstd", PACKED.format(".zst")),
    b"BZh91AY&SY": ("a packed file, by its first bytes bzip2", PACKED.format(".bz2")),
}
"""What a file of no text begins with: what it is, and what to do about it."""
csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True, slots=True)
class Marks:
    """What ends a row and what does not: a line's end within `quote`s is part of a value."""

    delimiter: str
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of a file, in UTF-8 if the file is in the encoding that it is said to be; lines count from 1."""

    data: bytes
    first_line: int
    next_offset: int
    """Where the next block begins, in unpacked bytes of the file."""
    num_bytes_read: int
    """Of the file as it lies there."""

    def without_header(self, marks: Marks) -> "Block":
        """Of a file's first block, what follows the first row."""
        end = next(row_ends(self.data, marks), 0)
        return replace(self, data=self.data[end:], first_line=self.first_line + num_line_ends(self.data, 0, end))


def blocks(
    source: Source, marks: Marks, encoding: Encoding = "utf-8", offset: int = 0, line: int = 1
) -> Iterator[Block]:
    """The file's blocks from `offset` on, where the line of that number begins.

    Raises Refusal for a row of more than MOST_ROW_BYTES, for a quote that is opened and not closed, for what is no
    text or UTF-16, and for what cannot be unpacked.
    """
    with opened(source, offset) as stream:
        rest, is_over = b"", False
        while not is_over:
            missing = max(BLOCK_BYTES - len(rest), 0) or BLOCK_BYTES
            read = stream.read(missing)
            is_over, data = len(read) < missing, rest + read
            if offset == 0:
                data = _without_mark(data, source)
                offset += len(rest) + len(read) - len(data)
            end = row_end(data, marks, is_last=is_over)
            if (is_over and end < len(data)) or len(data) - end > MOST_ROW_BYTES:
                raise _endless(source, line + num_line_ends(data, 0, end), marks)
            if end:
                offset += end
                own = data[:end]
                text = own if encoding == "utf-8" else own.decode(encoding, "replace").encode()
                yield Block(text, line, offset, stream.num_bytes_read)
                line += num_line_ends(own, 0, end)
            rest = data[end:]


def _without_mark(data: bytes, source: Source) -> bytes:
    """Without the byte-order mark that some programs put before UTF-8."""
    for start, (found, remedy) in NO_TEXT.items():
        if data.startswith(start):
            raise Refusal(found=found, expected="lines of text", where=source.uri, remedy=remedy)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Refusal(
            found="text in UTF-16, by its first two bytes",
            expected="UTF-8, or another encoding that contains ASCII",
            where=source.uri,
            remedy="write it anew as UTF-8: iconv -f UTF-16 -t UTF-8",
        )
    return data.removeprefix(codecs.BOM_UTF8)


def _endless(source: Source, line: int, marks: Marks) -> Refusal:
    quote = f": a {marks.quote} is opened there, and closed nowhere" if marks.quote else ""
    return Refusal(
        found=f"a row that does not end{quote}",
        expected=f"rows of at most {MOST_ROW_BYTES >> 20} MiB",
        where=f"{source.uri}, line {line:,}",
        remedy="correct the line; --quote none where quotes are parts of values" if quote else "correct the line",
    )


def num_line_ends(data: bytes, start: int, end: int) -> int:
    """How many lines end between the two places: by LF, by CR and LF, or by CR alone."""
    feeds = data.count(b"\n", start, end)
    if data.find(b"\r", start, end) < 0:  # as in most files: to find none takes a fifth of the time of counting none
        return feeds
    return feeds + data.count(b"\r", start, end) - data.count(b"\r\n", start, end)


def row_end(data: bytes, marks: Marks, *, is_last: bool) -> int:
    """How many bytes whole rows take. The last block of a file need not end in a newline."""
    if marks.quote is None or marks.quote.encode() not in data:
        return len(data) if is_last else data.rfind(b"\n") + 1
    characters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(characters == ord(marks.quote))
    openings = quotes[::2]
    before_opening = characters[openings[openings > 0] - 1]
    if not np.isin(before_opening, [ord(one) for one in ("\n", "\r", marks.delimiter, marks.quote)]).all():
        return _read_end(data, marks, is_last=is_last)  # a quote within a value, which opens nothing
    if is_last and len(quotes) % 2 == 0:
        return len(data)
    newlines = np.flatnonzero(characters == ord("\n"))
    is_end = np.searchsorted(quotes, newlines) % 2 == 0
    return int(newlines[is_end][-1]) + 1 if is_end.any() else 0


def _read_end(data: bytes, marks: Marks, *, is_last: bool) -> int:
    """As `row_end`, by reading value after value: a row that is asked for behind the data tells whether they end."""
    ends = list(row_ends(data + b"\nend", marks))
    *whole, behind = ends
    is_closed = behind == len(data) + 4 and whole and whole[-1] == len(data) + 1
    if is_last and is_closed:
        return len(data)
    ends = [end for end in whole if end <= len(data) and data[end - 1 : end] == b"\n"]
    return ends[-1] if ends else 0


def row_ends(data: bytes, marks: Marks) -> Iterator[int]:
    """Where each row of the data ends, its newline included, slowly: blank lines count as rows."""
    if marks.quote is None:
        yield from (found.end() for found in LINE_END.finditer(data))
        if data and not data.endswith((b"\n", b"\r")):
            yield len(data)
        return
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in io.StringIO(data.decode("latin-1"), newline=""):
            end += len(line)
            yield line

    for _ in csv.reader(lines(), delimiter=marks.delimiter, quotechar=marks.quote):
        yield end
