"""Tables on a terminal of any width: whole where they fit, else in parts below one another; no cell is ever cut."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

ONLY_OTHERS = {"accuracy", "macro_f1", "rmse", "mae"}  # figures that clicks have not
BESIDE = 3  # blanks that a column takes beside its own width
AT_ENDS = 1  # and a table beside its columns


def print_table(console: Console, table: Table) -> None:
    """The table, as wide as the console at most.

    Headings break between words first, and so does text in columns that are not `no_wrap`; numbers do not. Then the
    columns that have no room follow below, in tables that begin with the first column too.
    """
    parts = list(_parts(table.columns, console.width))
    for number, (columns, widths) in enumerate(parts):
        part = Table(title=table.title if number == 0 else None, title_justify="left", box=SIMPLE_HEAD)
        part.show_header = table.show_header
        for column, width in zip(columns, widths, strict=True):
            part.add_column(column.header, justify=column.justify, width=width, overflow="fold")
        for row, style in zip(zip(*(column.cells for column in columns), strict=True), table.rows, strict=True):
            part.add_row(*row, style=style.style)
        console.print(part, crop=False)


def of_objective(columns: Iterable[str], figures: Iterable[Mapping[str, float]]) -> list[str]:
    """The columns of which classes or numbers, where these are their figures, have some; of clicks all of theirs."""
    found = {name for one in figures for name in one}
    if found & ONLY_OTHERS:
        return [name for name in columns if name in found]
    return [name for name in columns if name not in ONLY_OTHERS]


def rows_and_passes(rows: int, passes: float) -> str:
    """Rows of the log, and how often they were gone over, where that is not once: `400,000 x 2`."""
    often = f"{passes:.3g}"
    return f"{rows:,}" if often in ("0", "1") else f"{rows:,} x {often}"


def _parts(columns: Sequence[Column], width: int) -> Iterator[tuple[list[Column], list[int]]]:
    """Columns that have room beside one another, and how wide each is; the first one is in all parts."""
    first, *others = columns
    part = [first]
    for column in others:
        if len(part) > 1 and _width([*part, column]) > width:
            yield part, _widths(part, width)
            part = [first]
        part.append(column)
    yield part, _widths(part, width)


def _width(columns: Sequence[Column]) -> int:
    return AT_ENDS + sum(_least(column) + BESIDE for column in columns)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """As wide as they would be, and where that is too wide, narrower from the one that can give most."""
    least, widths = [_least(column) for column in columns], [_most(column) for column in columns]
    over = AT_ENDS + sum(one + BESIDE for one in widths) - width
    while over > 0 and widths != least:
        widest = max(range(len(widths)), key=lambda place: widths[place] - least[place])
        # By halves, lest one heading stands upright while others have room.
        given = max(1, min(over, widths[widest] - least[widest]) // 2)
        widths[widest] -= given
        over -= given
    return widths


def _least(column: Column) -> int:
    """What no cell is cut at: a number's or a name's width, and the longest word of a heading or a text."""
    is_whole = column.no_wrap or column.justify == "right"
    cells = [word for cell in map(str, column.cells) for word in ([cell] if is_whole else cell.split())]
    return max(_longest(str(column.header).split()), _longest(cells))


def _most(column: Column) -> int:
    lines = [line for cell in column.cells for line in str(cell).split("\n")]
    return max(cell_len(str(column.header)), _longest(lines))


def _longest(words: Sequence[str]) -> int:
    return max(map(cell_len, words), default=0)
