"""What people read on a terminal: results, and progress, as bars there and plain lines elsewhere, always on stderr."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from jobs.event_lines import EventLines, Form
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.runtime.progress import Event


def result_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Shows results as they are: what looks like Rich's markup in a name, a value or an error is none."""
    width = None if sys.stdout.isatty() or soft_wrap else 120
    return Console(stderr=stderr, width=width, soft_wrap=soft_wrap, markup=False, emoji=False)


def fits(console: Console, table: Table) -> bool:
    """No cell of it is broken on that console."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width


class ProgressView:
    """Shows events as they come: on a terminal a bar for each task, elsewhere lines."""

    def __init__(self, form: Form = Form.TEXT) -> None:
        console = Console(stderr=True)
        self._lines = EventLines(form)
        self._bars = (
            Progress(
                TextColumn("{task.description:<22}", markup=False),
                BarColumn(bar_width=32),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
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
