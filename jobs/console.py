"""What people read on a terminal: results, and progress, as bars there and plain lines elsewhere, always on stderr."""

import os
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from jobs.event_lines import EventLines, Form
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.runtime.progress import Event

COMMAND = "  nightjar"  # begins a line that is to be copied whole
WIDTH_OF_FILES = 120  # of what is no terminal, unless `COLUMNS` says
WIDEST_BAR, NARROWEST_BAR = 32, 10


def result_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Shows results as they are: what looks like Rich's markup in a name, a value or an error is none.

    As wide as the terminal, or `COLUMNS`, where lines break between words; elsewhere 120, or as long as they are.
    """
    has_width = (sys.stderr if stderr else sys.stdout).isatty() or os.environ.get("COLUMNS", "").isdigit()
    is_endless = soft_wrap and not has_width
    width = None if has_width or is_endless else WIDTH_OF_FILES
    return Console(stderr=stderr, width=width, soft_wrap=is_endless, markup=False, emoji=False)


def tell(words: str, indent: int = 0) -> None:
    """A line on stdout; where it is too long for the terminal it goes on below, `indent` blanks in."""
    print(folded(words, indent), flush=True)


def folded(words: str, indent: int = 0, *, stderr: bool = False) -> str:
    """The lines, broken between words where they are too long for the terminal; elsewhere as they are."""
    console = result_console(stderr=stderr, soft_wrap=True)
    if console.soft_wrap:
        return words
    fold = textwrap.TextWrapper(
        console.width,
        subsequent_indent=" " * min(indent, console.width // 2),
        break_long_words=False,
        break_on_hyphens=False,
    ).fill
    return "\n".join(line if line.startswith(COMMAND) else fold(line) for line in words.splitlines())


def fits(console: Console, table: Table) -> bool:
    """No cell of it is broken on that console."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width


def _bar_width(console: Console) -> int:
    """What a bar may take beside its task, a time and a note."""
    return WIDEST_BAR if console.width >= WIDTH_OF_FILES else NARROWEST_BAR


class ProgressView:
    """Shows events as they come: on a terminal a bar for each task, elsewhere lines."""

    def __init__(self, form: Form = Form.TEXT) -> None:
        console = Console(stderr=True)
        self._lines = EventLines(form)
        self._bars = (
            Progress(
                TextColumn("{task.description:<22}", markup=False),
                BarColumn(bar_width=_bar_width(console)),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False, table_column=Column(overflow="fold")),
                console=console,
            )
            if console.is_terminal and form is Form.TEXT
            else None
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        (self._bars or self._lines).__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        (self._bars or self._lines).__exit__(*why)

    def __call__(self, event: "Event") -> None:
        if self._bars:
            self._draw(self._bars, replace(event, note=redacted(event.note)))  # before a terminal's width breaks it
        else:
            self._lines(event)

    def _draw(self, bars: Progress, event: "Event") -> None:
        if event.task not in self._tasks:
            self._tasks[event.task] = bars.add_task(event.task, total=event.total, note="")
        bars.update(self._tasks[event.task], completed=event.done, total=event.total, note=event.note)
