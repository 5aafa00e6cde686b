"""A stage's curves, thinned to about CURVE_POINTS points, each the mean of the steps since the last."""

from collections.abc import Callable, Mapping
from math import log

from pipeline.training.loop import Step

CURVE_POINTS = 50


class Curves:
    """Adds up steps and calls `log(metrics, step)` with those of every num_steps / CURVE_POINTS of them."""

    def __init__(self, num_steps: int, log: Callable[[Mapping[str, float], int], None]) -> None:
        self._every = max(1, num_steps // CURVE_POINTS)
        self._num_steps = num_steps
        self._log = log
        self._steps: list[Step] = []

    def add(self, step: Step, number: int) -> None:
        self._steps.append(step)
        if number % self._every == 0 or number == self._num_steps:
            self._log(_point(self._steps), number)
            self._steps = []


def _point(steps: list[Step]) -> dict[str, float]:
    """NE is of the rows before their step: from scratch and in the first epoch, a progressive validation."""
    weight = sum(float(step.losses.weight) for step in steps)
    clicks = sum(float(step.losses.clicks) for step in steps)
    seconds = max(sum(step.seconds for step in steps), 1e-9)
    point = {
        "train/learning_rate_factor": steps[-1].learning_rate_factor,
        "perf/rows_per_second": sum(step.losses.num_rows for step in steps) / seconds,
        "perf/data_wait": sum(step.wait_seconds for step in steps) / seconds,
    }
    if weight > 0:
        point["train/log_loss"] = sum(float(step.losses.log_loss) for step in steps) / weight
        rate = clicks / weight
        if 0 < rate < 1:
            point["train/ne"] = point["train/log_loss"] / -(rate * log(rate) + (1 - rate) * log(1 - rate))
    return point
