"""What people read on a terminal: results, and progress, as bars there and plain lines elsewhere, always on stderr."""

import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.runtime.progress import Event


def result_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Shows results as they are: what looks like Rich's markup in a name, a value or an error is none."""
    width = None if sys.stdout.isatty() or soft_wrap else 120
    return Console(stderr=stderr, width=width, soft_wrap=soft_wrap, markup=False, emoji=False)


class ProgressView:
    """Shows events as they come: a bar for each task, or a line when one begins and when it ends."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = (
            Progress(
                TextColumn("{task.description:<22}", markup=False),
                BarColumn(bar_width=32),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=console,
            )
            if console.is_terminal
            else None
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, event: "Event") -> None:
        event = replace(event, note=redacted(event.note))  # before a terminal's width breaks it
        if self._bars:
            self._draw(self._bars, event)
        else:
            self._print(event)

    def _draw(self, bars: Progress, event: "Event") -> None:
        if event.task not in self._tasks:
            self._tasks[event.task] = bars.add_task(event.task, total=event.total, note="")
        bars.update(self._tasks[event.task], completed=event.done, total=event.total, note=event.note)

    def _print(self, event: "Event") -> None:
        if event.task not in self._started:
            self._started[event.task] = time.monotonic()
            print(f"{event.task} ...", file=sys.stderr, flush=True)
        if event.done >= event.total and event.task not in self._ended:
            self._ended.add(event.task)
            seconds = time.monotonic() - self._started[event.task]
            print(f"{event.task} done in {seconds:.1f} s  {event.note}".rstrip(), file=sys.stderr, flush=True)
