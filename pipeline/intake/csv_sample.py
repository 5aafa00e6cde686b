"""The first rows of a CSV file as `nightjar import csv` will read it, what parts its values guessed."""

import fsspec
import pyarrow as pa

from pipeline.intake import sources, text_rows
from pipeline.intake.blocks import Block, Marks, blocks
from pipeline.intake.formats import delimited_columns
from pipeline.intake.formats.delimited import CLICKS, DAY_COLUMN, Dialect
from pipeline.intake.reading import header_of
from pipeline.intake.sources import Source
from pipeline.intake.text_rows import Layout
from schemas.errors import Refusal
from schemas.locations import absolute

DELIMITERS = (",", "\t", ";", "|")


def read(fs: fsspec.AbstractFileSystem, name: str, most: int) -> tuple[pa.Table, int]:
    """(at least `most` rows from the file's start, if it has them, how many it has in all, about).

    Refusal for what is no CSV with a header, in UTF-8, and for a line among these that has not its columns.
    """
    [source] = sources.find([absolute(fs.unstrip_protocol(name))])
    dialect = Dialect(delimiter=delimiter_of(fs, name))
    layout = _layout(source, dialect)
    tables, num_bytes = [pa.schema(layout.types).empty_table()], 0
    for block in blocks(source, layout.marks):
        rows = block.without_header(layout.marks) if block.first_line == 1 else block
        tables += [_rows(rows, layout, source)] if rows.data else []
        num_bytes = block.num_bytes_read
        if sum(map(len, tables)) >= most:
            break
    table = pa.concat_tables(tables)
    return table, round(len(table) * source.num_bytes / max(1, num_bytes))


def _layout(source: Source, dialect: Dialect) -> Layout:
    """The types of its columns; one that is called as the days' folders are can only be their time."""
    first = next(blocks(source, dialect.marks), None)
    names = header_of(first, dialect.marks) if first else ()
    return delimited_columns.look(source, dialect, {}, None, DAY_COLUMN if DAY_COLUMN in names else None, "UTC").layout


def _rows(block: Block, layout: Layout, source: Source) -> pa.Table:
    rows = text_rows.read(block, layout)
    if rows.bad:
        lines = [line for line, _ in text_rows.lines_of(block, layout.marks)]
        raise Refusal(
            found=rows.bad[0].reason,
            expected="the header's columns in every line, in UTF-8",
            where=f"{source.uri}, line {lines[rows.bad[0].ordinal]:,}",
            remedy="correct the line; or let `nightjar import csv` leave such lines out, or read another encoding, and "
            "look at the log that it makes",
        )
    return rows.table


def delimiter_of(fs: fsspec.AbstractFileSystem, name: str) -> str:
    """Of the usual ones the one that the first line has most of; a comma where it has none."""
    [source] = sources.find([absolute(fs.unstrip_protocol(name))])
    first = next(blocks(source, Marks(",")), None)
    line = first.data.partition(b"\n")[0].decode("utf-8", "replace") if first else ""
    return max(DELIMITERS, key=line.count)


def with_clicks(rows: pa.Table, label: str) -> pa.Table:
    """The label as `--label` of an import makes it, from yes and no to 0 and 1; as it is where it holds other words."""
    values = rows.column(label)
    words = {word: CLICKS.get(str(word).strip().lower()) for word in values.unique().to_pylist()}
    if None in words.values():
        return rows
    clicks = pa.array([words[word] for word in values.to_pylist()], pa.int8())
    return rows.set_column(rows.column_names.index(label), label, clicks)
