"""What is told of work as it goes on: events for whoever watches a command, points of the curves of training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show: `done` of `total` units of a task, and a note."""

    task: str
    done: int
    total: int
    note: str = ""


Show = Callable[[Event], None]
RATE = "perf/rows_per_second"
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


Report = Callable[[Point], None]
"""Takes a point as a stage comes to it; where it is given to a Ray worker, it must survive pickling."""
