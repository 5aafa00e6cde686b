"""Baselines of a retrain, read from the store's labels and groups alone: a pass over them takes no model."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.data.store import Store
from pipeline.data.windows import Outcomes, outcomes
from pipeline.evaluation.baselines import BASE_RATE, CONSTANTS, of_groups, of_rate
from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Constant, RowSums
from pipeline.evaluation.tally import Floats, Tallies, Tally, joined
from schemas.config import DataConfig


@dataclass(frozen=True)
class Baselines:
    """By the labels of the training days, before negatives are left away."""

    constant: Constant | None
    """None: all rows are of one class, or there are none."""
    sums: dict[str, RowSums] = field(default_factory=dict)
    """Name -> what it comes to on the held-out rows."""


def baselines(store: Store, data: DataConfig, held_out: RowSums) -> Baselines:
    """The constant, and where a log of clicks has a group that of each group. `held_out`: any model's sums of the rows.

    Of clicks without groups and weights the store's listing tells it; else labels, weights and groups are read, 13
    bytes a row.
    """
    if isinstance(held_out, Sums):
        return _of_clicks(store, data, held_out)
    if isinstance(held_out, ClassSums):
        shares = _shares(outcomes(store, "train"), store.target.num_outputs)
        return _of_constant(store, data, held_out, shares)
    return _of_constant(store, data, held_out, _mean(outcomes(store, "train")))


def _of_constant(store: Store, data: DataConfig, held_out: RowSums, constant: Constant | None) -> Baselines:
    """As told for every held-out row; a class that training has not is told by none of them."""
    if constant is None:
        return Baselines(None)
    told = np.log(np.maximum(constant, np.finfo(np.float64).tiny)) if isinstance(constant, tuple) else constant
    kind, total = type(held_out), held_out.zero()
    for labels, weights, _ in outcomes(store, "test"):
        total += kind.of(np.broadcast_to(told, (len(labels), *np.shape(told))), labels, weights)
    return Baselines(constant, {CONSTANTS[data.features.objective]: total})


def _shares(rows: Iterable[Outcomes], num_classes: int) -> tuple[float, ...] | None:
    mass = np.zeros(num_classes)
    for labels, weights, _ in rows:
        mass += np.bincount(labels.astype(np.int64), weights, num_classes)
    return tuple((mass / mass.sum()).tolist()) if mass.any() else None


def _mean(rows: Iterable[Outcomes]) -> float | None:
    total = weight = 0.0
    for labels, weights, _ in rows:
        own = _each(labels, weights)
        total, weight = total + float((own * labels).sum()), weight + float(own.sum())
    return total / weight if weight > 0 else None


def _of_clicks(store: Store, data: DataConfig, held_out: Sums) -> Baselines:
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
    found: dict[str, RowSums] = {BASE_RATE: of_rate(held_out, rate)}
    if spec.group:
        training = Tally(training.keys, training.positives, training.negatives / data.negative_share)
        found[f"{BASE_RATE} of each {spec.group}"] = _judged(outcomes(store, "test"), training, rate)
    return Baselines(rate, found)


def _counted(rows: Iterable[Outcomes]) -> Tally:
    """Clicks and others of each group; of all rows under one key without groups."""
    tallies: Tallies = ()
    for labels, weights, groups in rows:
        keys = np.zeros(len(labels), np.int64) if groups is None else groups
        each = _each(labels, weights)
        tallies = joined((*tallies, Tally.of(keys, labels * each, (1 - labels) * each)))
    return Tally.merged(tallies)


def _judged(rows: Iterable[Outcomes], training: Tally, rate: float) -> Sums:
    total = Sums.zero()
    for labels, weights, groups in rows:
        assert groups is not None
        total += Sums.of(of_groups(training, rate, groups), labels, weights, groups)
    return total


def _each(labels: Floats, weights: NDArray[np.float32] | None) -> Floats:
    """What each row counts for."""
    return np.ones(len(labels)) if weights is None else weights.astype(np.float64)
