"""Baselines of a retrain, read from the store's labels and groups alone: a pass over them takes no model."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.store import Store
from pipeline.data.windows import Outcomes, outcomes
from pipeline.evaluation.baselines import BASE_RATE, constant, of_groups
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.tally import Tallies, Tally, joined
from schemas.config import DataConfig


@dataclass(frozen=True)
class Baselines:
    """By the click rates of the training days, before negatives are left away."""

    rate: float | None
    """None: all rows are of one class."""
    sums: dict[str, Sums] = field(default_factory=dict)
    """Name -> what it comes to on the held-out rows."""


def baselines(store: Store, data: DataConfig, held_out: Sums) -> Baselines:
    """The base rate, and where the log has a group that of each group. `held_out`: any model's sums over the rows.

    Without groups and weights the store's listing tells it; else labels, weights and groups are read, 13 bytes a row.
    """
    spec, is_read = data.features, bool(data.features.group or data.features.weight)
    training = _counted(outcomes(store, "train")) if is_read else Tally.empty()
    if is_read:
        clicks, others = float(training.positives.sum()), float(training.negatives.sum())
    else:
        clicks = float(store.num_positives("train"))
        others = store.num_rows("train") - clicks
    others /= data.negative_share
    if clicks <= 0 or others <= 0:
        return Baselines(None)
    rate = clicks / (clicks + others)
    found = {BASE_RATE: constant(held_out, rate)}
    if spec.group:
        training = Tally(training.keys, training.positives, training.negatives / data.negative_share)
        found[f"{BASE_RATE} of each {spec.group}"] = _judged(outcomes(store, "test"), training, rate)
    return Baselines(rate, found)


def _counted(rows: Iterable[Outcomes]) -> Tally:
    """Clicks and others of each group; of all rows under one key without groups."""
    tallies: Tallies = ()
    for labels, weights, groups in rows:
        keys = np.zeros(len(labels), np.int64) if groups is None else groups
        each = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        tallies = joined((*tallies, Tally.of(keys, labels * each, (1 - labels) * each)))
    return Tally.merged(tallies)


def _judged(rows: Iterable[Outcomes], training: Tally, rate: float) -> Sums:
    total = Sums.zero()
    for labels, weights, groups in rows:
        assert groups is not None
        total += Sums.of(of_groups(training, rate, groups), labels, weights, groups)
    return total
