"""What is told of work as it goes on: events for whoever watches a command, points of the curves of training."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show: `done` of `total` units of a task, and a note."""

    task: str
    done: int
    total: int
    note: str = ""
    rows: int = 0
    """Of a task that is done: how many it went over; 0: none, or not told."""


Show = Callable[[Event], None]
Entered = TypeVar("Entered")
RATE = "work/rows_per_second"
"""The metric of a point that tells how fast its stage goes, all ranks together, since the last point."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a stage has come to after `step` of its `num_steps` steps; metrics are called as in MLflow."""

    stage: str
    step: int
    num_steps: int
    metrics: Mapping[str, float]
    mean_rate: float = 0.0
    """Rows a second since the stage began, of a point that has a RATE."""
    began: float = 0.0
    """When its stage began, in seconds since 1970; 0: not told."""
    computed_by: str = ""
    """By which kernel, in which precision and where, in words, of such a point."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something out of the ordinary, as a title that is said once, and words."""

    title: str
    words: str


Report = Callable[[Point], None]
"""Takes a point as a stage comes to it; where it is given to a Ray worker, it must survive pickling."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A task of a whole; when it began and ended, in seconds since that did."""

    name: str
    began: float
    ended: float
    rows: int = 0
    """That it went over; 0: none, or not told."""
    depth: int = 0
    """Of how many other tasks it is a part."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def rows_per_second(self) -> float | None:
        return self.rows / self.seconds if self.rows and self.seconds > 0 else None


@dataclass(slots=True)
class Clock:
    """Passes on what it is shown, and keeps when each task was at work, those that are part of another one under it.

    A task is at work from its first event to the one that says it is done. What is told once, as done, takes no time.
    """

    show: Show
    now: Callable[[], float] = time.monotonic
    _done: list[Phase] = field(default_factory=list)
    _open: list[tuple[str, float]] = field(default_factory=list)
    _ahead: float | None = None
    """Of the seconds since 1970, what `now` tells."""

    @classmethod
    def of(cls, show: Show) -> Self:
        """The one that is given, where it is one; else a new one."""
        return show if isinstance(show, cls) else cls(show)

    @classmethod
    def of_process(cls, show: Show) -> Self:
        """One whose first phase is what this process has done so far."""
        clock = cls(show)
        now = time.time()
        clock.took("start the command", now - process_age(), now)
        return clock

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Those that are over, as they began, a whole before its parts; seconds are since the first one did."""
        began = min((phase.began for phase in self._done), default=0.0)
        told = sorted(self._done, key=lambda phase: (phase.began, phase.depth))
        return tuple(replace(one, began=one.began - began, ended=one.ended - began) for one in told)

    @property
    def seconds(self) -> dict[str, float]:
        """Of each task that is no part of another one, all its times together."""
        return seconds_of(self.phases)

    def __call__(self, event: Event) -> None:
        is_over = event.done >= event.total
        if not is_over and event.task not in (name for name, _ in self._open):
            self._begin(event.task)
        self.show(event)
        if is_over:
            self._end(event.task, event.rows)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Shown as it begins and ends, and timed; what is called with a note shows that at the end."""
        notes: list[str] = []
        self(Event(name, 0, 1))
        yield notes.append
        self(Event(name, 1, 1, "; ".join(notes)))

    @contextmanager
    def unshown(self, name: str) -> Iterator[None]:
        """Timed alone: what it is made of is shown, or it is over soon."""
        self._begin(name)
        yield
        self._end(name)

    @contextmanager
    def entering(self, name: str, context: AbstractContextManager[Entered]) -> Iterator[Entered]:
        """That context; what it takes to enter it is timed."""
        with ExitStack() as stack:
            with self.unshown(name):
                entered = stack.enter_context(context)
            yield entered

    def took(self, name: str, began: float, ended: float, *, rows: int = 0, depth: int = 0) -> None:
        """A phase that was timed elsewhere, in seconds since 1970: a part of what is at work, so much deeper."""
        if self._ahead is None:
            self._ahead = self.now() - time.time()
        self._done.append(Phase(name, began + self._ahead, ended + self._ahead, rows, len(self._open) + depth))

    def _begin(self, task: str) -> None:
        self._open.append((task, self.now()))

    def _end(self, task: str, rows: int = 0) -> None:
        """And what is part of it: a stage that diverged never says that it is done."""
        if task not in (name for name, _ in self._open):
            return
        now, ended = self.now(), ""
        while ended != task:
            ended, began = self._open.pop()
            self._done.append(Phase(ended, began, now, rows if ended == task else 0, len(self._open)))


def seconds_of(phases: Iterable[Phase]) -> dict[str, float]:
    """Of each phase that is no part of another one; of several of a name, their sum."""
    found: dict[str, float] = {}
    for phase in phases:
        if phase.depth == 0:
            found[phase.name] = found.get(phase.name, 0.0) + phase.seconds
    return found


def process_age() -> float:
    """Seconds since this process was started; where the system does not tell, those that it has computed."""
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return time.process_time()
    ticks = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
