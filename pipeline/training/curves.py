"""A stage's curves, thinned to about CURVE_POINTS points, each the mean of the steps since the last."""

import numpy as np

from pipeline.runtime.progress import RATE, Point, Report
from pipeline.training.checkpoint import Progress
from pipeline.training.loop import Step
from pipeline.training.losses import Loss

CURVE_POINTS = 50


class Curves:
    """Adds up a stage's steps and reports those of every num_steps / CURVE_POINTS of them as one point."""

    def __init__(self, stage: str, num_steps: int, report: Report, loss: Loss, computed_by: str = "") -> None:
        self._every = max(1, num_steps // CURVE_POINTS)
        self._stage, self._num_steps, self._report = stage, num_steps, report
        self._loss, self._computed_by = loss, computed_by
        self._steps: list[Step] = []

    def add(self, step: Step, progress: Progress) -> None:
        """A step that the stage's progress has taken in."""
        self._steps.append(step)
        if progress.step % self._every == 0 or progress.step == self._num_steps:
            mean_rate = progress.rows_seen / max(progress.seconds, 1e-9)
            metrics = _metrics(self._steps, self._loss)
            self._report(
                Point(
                    self._stage,
                    progress.step,
                    self._num_steps,
                    metrics,
                    mean_rate,
                    began=progress.began,
                    computed_by=self._computed_by,
                )
            )
            self._steps = []


def _metrics(steps: list[Step], loss: Loss) -> dict[str, float]:
    """NE is of the rows before their step: from scratch and in the first epoch, a progressive validation."""
    weight = sum(float(step.losses.weight) for step in steps)
    seconds = max(sum(step.seconds for step in steps), 1e-9)
    metrics = {
        "work/learning_rate_factor": steps[-1].learning_rate_factor,
        RATE: sum(step.num_rows for step in steps) / seconds,
        "work/data_wait": sum(step.wait_seconds for step in steps) / seconds,
    }
    if weight > 0:
        metrics[f"train/{loss.name}"] = sum(float(step.losses.loss) for step in steps) / weight
        outcomes = sum(step.losses.outcomes.cpu().double().numpy() for step in steps)
        best = loss.of_best_constant(weight, np.asarray(outcomes))
        if best is not None:
            metrics["train/ne"] = metrics[f"train/{loss.name}"] / best
    return metrics
