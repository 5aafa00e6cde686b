"""What is told of work as it goes on: events for whoever watches a command, points of the curves of training."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show: `done` of `total` units of a task, and a note."""

    task: str
    done: int
    total: int
    note: str = ""


Show = Callable[[Event], None]
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


Report = Callable[[Point], None]
"""Takes a point as a stage comes to it; where it is given to a Ray worker, it must survive pickling."""


@dataclass(slots=True)
class Clock:
    """Passes on what it is shown, and adds up the seconds of each task that is no part of another one.

    A task is at work from its first event to the one that says it is done. What is told once, as done, takes no time.
    """

    show: Show
    seconds: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic
    _task: str = ""
    _began: float = 0.0

    def __call__(self, event: Event) -> None:
        is_over = event.done >= event.total
        if not is_over:
            self._begin(event.task)
        self.show(event)
        if is_over:
            self._end(event.task)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Shown as it begins and ends, and timed; what is called with a note shows that at the end."""
        notes: list[str] = []
        self(Event(name, 0, 1))
        yield notes.append
        self(Event(name, 1, 1, "; ".join(notes)))

    @contextmanager
    def unshown(self, name: str) -> Iterator[None]:
        """Timed alone: what it is made of is shown."""
        self._begin(name)
        yield
        self._end(name)

    def _begin(self, task: str) -> None:
        if not self._task:
            self._task, self._began = task, self.now()

    def _end(self, task: str) -> None:
        if task == self._task:
            self.seconds[task] = self.seconds.get(task, 0.0) + self.now() - self._began
            self._task = ""
