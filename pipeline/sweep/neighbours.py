"""The trials nearest to the best one, in NE and in settings: what tells it from them is more than luck, or is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import Bootstrap, Interval, compare
from pipeline.evaluation.intervals import Bounds, intervals
from pipeline.evaluation.objectives import sums_of
from pipeline.report.sweep_page import Neighbour
from pipeline.runtime import files, trusted
from pipeline.sweep.outcome import Outcome, ranked
from pipeline.sweep.task import Task
from pipeline.training import published, results
from schemas.sweep import Values

NEAREST = 3  # in NE, and as many in settings


@dataclass(frozen=True, slots=True)
class Around:
    """The best trial's NE as its validation rows tell it, and its neighbours."""

    bounds: Bounds | None
    neighbours: tuple[Neighbour, ...]


def around(best: int, outcomes: Sequence[Outcome], space: Mapping[str, Values], task: Task) -> Around:
    """Trials are compared by the logits of their best looks with the first seed; of a damaged file there are none."""
    judged = [one for one in ranked(outcomes) if one.judged]
    winner = next(one for one in judged if one.number == best)
    others = [one for one in judged if one.number != best]
    in_ne = [one.number for one in others[:NEAREST]]
    by_settings = sorted(others, key=lambda one: distance(winner.values, one.values, space))
    in_settings = [one.number for one in by_settings[:NEAREST]]
    logits = {number: _logits(task, number) for number in dict.fromkeys([best, *in_ne, *in_settings])}
    own = logits[best]
    if own is None:
        changes: dict[int, Interval | None] = {}
        bounds = None
    else:
        config = task.configs[best]
        labels, weights = results.labels_of(task.store, "validation", len(config.data.features.fields))
        objective = config.data.features.objective
        bounds = intervals(sums_of(objective).of(own, labels, weights)).get("ne")
        draws = Bootstrap(seed=config.seed)
        its = {number: one for number, one in logits.items() if one is not None and number != best}
        changes = {number: compare(one, own, labels, weights, draws, objective).ne for number, one in its.items()}
    near_in = {number: "settings" for number in in_settings} | {number: "NE" for number in in_ne}
    near_in |= {number: "NE and settings" for number in in_ne if number in in_settings}
    order = [one.number for one in others if one.number in near_in]
    return Around(bounds, tuple(Neighbour(number, near_in[number], changes.get(number)) for number in order))


def distance(one: Mapping[str, Any], other: Mapping[str, Any], space: Mapping[str, Values]) -> float:
    """Sum over the keys: of numbers the part of the scale between them, of choices 1 where they differ."""
    return sum(
        float(one[key] != other[key])
        if values.choice is not None
        else abs(values.place(one[key]) - values.place(other[key]))
        for key, values in space.items()
    )


def _logits(task: Task, number: int) -> NDArray[np.float32] | None:
    uri = task.logits_uri(number)
    if not files.exists(uri):
        return None
    try:
        return results.logits_in(uri, published.VALIDATION_LOGITS)
    except (trusted.Damaged, ValueError):  # of none: it was being written
        return None
