"""The columns of CSV files, before they are read: what the first line calls them, what the first values are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.intake import text_rows
from pipeline.intake.blocks import blocks
from pipeline.intake.formats.delimited import DAY_COLUMN, ColumnKind, Delimited, Dialect
from pipeline.intake.reading import header_of
from pipeline.intake.roles import listed
from pipeline.intake.sources import Source
from pipeline.intake.text_rows import NUMBER, Layout
from schemas.errors import Refusal
from schemas.partitioning import require_timezone

SMALL_INTEGER = r"^\s*-?(0|[1-9]\d{0,17})\s*$"  # 64 bits hold it, and it is written in no other way
CODE = r"^\s*[+-]?(0\d|\d{19})"  # digits that a number would not keep
OTHER_DELIMITERS = {"\t": "tab", ";": ";", "|": "|", ",": ","}


def look(
    source: Source,
    dialect: Dialect,
    kinds: Mapping[str, ColumnKind],
    label: str | None,
    timestamp: str | None,
    timezone: str,
) -> Delimited:
    """The format of files that are like this one, of whose columns some `kinds` are said.

    Raises Refusal for names that no column has, or two have, for a file without a line of names, for one column as
    label and time, and for one that would contradict the days' folders.
    """
    require_timezone(timezone, where="--timezone")
    first = next(blocks(source, dialect.marks, dialect.encoding), None)
    if first is None:
        raise _refusal("nothing but a byte-order mark", "a line of names, and rows", source.uri, "write the file again")
    names = dialect.columns or header_of(first, dialect.marks)
    _require_names(names, dialect, source)
    said = [("--label", label), ("--timestamp", timestamp), *(("--type", name) for name in kinds)]
    _require_said(said, names)
    _require_apart(names, label, timestamp, source)
    rows = first if dialect.columns else first.without_header(dialect.marks)
    as_text = Layout(dict.fromkeys(names, pa.string()), dialect.marks, dialect.nulls)
    table = text_rows.read(rows, as_text).table if rows.data else pa.table({name: pa.nulls(0) for name in names})
    found = {name: kinds.get(name) or kind_of(table.column(name)) for name in names}
    return Delimited(found, dialect, label, timestamp, timezone)


def kind_of(text: pa.ChunkedArray) -> ColumnKind:
    """What all of these values are: digits that a number would not keep, as the zeros of 007, make them text."""
    values = text.drop_null()
    if len(values) == 0 or not pa.types.is_string(values.type):
        return "text"
    if _all_match(values, SMALL_INTEGER):
        return "integer"
    is_code = pc.any(pc.match_substring_regex(values, CODE)).as_py()
    return "number" if not is_code and _all_match(pc.utf8_trim_whitespace(values), NUMBER) else "text"


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _require_said(said: Sequence[tuple[str, str | None]], names: Sequence[str]) -> None:
    """Raise Refusal for a name that an option says and no column has."""
    for option, name in said:
        if name is not None and name not in names:
            close = get_close_matches(name, names, n=1)
            raise _refusal(
                f"no column {name!r}" + (f"; perhaps {close[0]!r} is meant" if close else ""),
                f"one of {listed(names)}",
                f"{option} {name}",
                "correct the name",
            )


def _require_apart(names: Sequence[str], label: str | None, timestamp: str | None, source: Source) -> None:
    """Raise Refusal for a column in two roles: the label's and the time's, or a feature's and the days' folders'."""
    if label is not None and label == timestamp:
        raise _refusal(
            f"the label and the time in one column, {label!r}",
            "a column each",
            "--label, --timestamp",
            "name the column of clicks by --label, or leave it away",
        )
    if DAY_COLUMN in names and timestamp != DAY_COLUMN:
        raise _refusal(
            f"a column {DAY_COLUMN!r}, as the days' folders are called",
            f"that only the folders {DAY_COLUMN}=YYYY-MM-DD say the day",
            f"{source.uri}, line 1",
            f"give --timestamp {DAY_COLUMN}, if it says the day; else give the column another name",
        )


def _require_names(names: tuple[str, ...], dialect: Dialect, source: Source) -> None:
    where = "--columns" if dialect.columns else f"{source.uri}, line 1"
    twice = [name for name, count in Counter(names).items() if count > 1]
    if "" in names:
        number = names.index("") + 1
        raise _refusal(
            f"no name of column {number}",
            "a name for each column",
            where,
            "write one into the first line; of pandas' index, leave it away: to_csv(index=False)",
        )
    if twice:
        raise _refusal(f"{names.count(twice[0])} columns named {twice[0]!r}", "each name once", where, "rename one")
    numbers = [name for name in names if pc.match_substring_regex(pa.scalar(name), NUMBER).as_py()]
    if numbers and not dialect.columns:
        raise _refusal(
            f"{numbers[0]!r} in the place of a column's name",
            "a first line that names the columns",
            where,
            "where the file has no such line, name them: --columns id,time,user,clicked",
        )
    others = [mark for mark in OTHER_DELIMITERS if mark != dialect.delimiter and mark in names[0]]
    if len(names) == 1 and others:
        raise _refusal(
            f"one column, {names[0][:60]!r}",
            f"columns parted by {OTHER_DELIMITERS.get(dialect.delimiter, dialect.delimiter)}",
            where,
            f"name what parts them: --delimiter '{OTHER_DELIMITERS[others[0]]}'",
        )


def _refusal(found: str, expected: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)
