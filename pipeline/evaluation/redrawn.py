"""A model's figures on rows drawn again, each so many times, from what is worked out of the rows once for all draws."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.class_sums import entropy_of, macro_f1, nats_of
from pipeline.evaluation.metrics import entropy
from pipeline.evaluation.tally import Floats, auc_of
from schemas.features import Objective

MAX_RANKS = 1 << 14  # counting by them stays in the cache
ALL_EQUAL = 1e-12  # of their mean square: what the variance of equal numbers may round to

Figures = dict[str, float]
"""Metric -> its value; without those that are undefined."""


class Redrawn(Protocol):
    """One model's n rows, in G groups of consecutive ones that are drawn together."""

    def figures(self, times_G: NDArray[np.int64], weights: NDArray[Any]) -> Figures:
        """Of the draw that takes group g `times_G[g]` times: the weights of its rows are `weights` [n]."""
        ...


def redrawn_by(
    objective: Objective, logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, group_rows: int
) -> Redrawn:
    """The rows as draws of the objective read them; [n] each, logits of classes [n, C]."""
    kinds: dict[Objective, Callable[..., Redrawn]] = {
        "binary": _Clicks.of,
        "multiclass": _Classes.of,
        "regression": _Numbers.of,
    }
    return kinds[objective](logits, labels, weights, group_rows)


@dataclass(frozen=True, eq=False)
class _Clicks:
    ranks: NDArray[np.int64]  # [n] of its logit, among num_ranks of its label; those of the positives come second
    num_ranks: int
    nats: Floats  # [G] log loss of each group, weighted where the rows are

    @classmethod
    def of(cls, logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, group_rows: int) -> Self:
        logits, positive = logits.astype(np.float64), labels.astype(np.int64)
        different, ranks = np.unique(logits, return_inverse=True)
        num_ranks = min(MAX_RANKS, len(different))
        nats = np.logaddexp(0.0, np.where(positive == 1, -logits, logits))
        ranks = ranks * num_ranks // len(different)
        return cls(ranks + num_ranks * positive, num_ranks, _of_groups(nats, weights, group_rows))

    def figures(self, times_G: NDArray[np.int64], weights: NDArray[Any]) -> Figures:
        counts = np.bincount(self.ranks, weights, 2 * self.num_ranks)
        negatives, positives = counts[: self.num_ranks], counts[self.num_ranks :]
        P, rows = float(positives.sum()), float(counts.sum())
        log_loss = _mean(times_G, self.nats, rows)
        auc = auc_of(positives, negatives)
        return {"log_loss": log_loss} | ({} if auc is None else {"ne": log_loss / entropy(P / rows), "auc": auc})


@dataclass(frozen=True, eq=False)
class _Classes:
    labels: NDArray[np.int64]  # [n]
    told: NDArray[np.int64]  # [n] the likeliest class
    num_classes: int
    nats: Floats  # [G] as of clicks

    @classmethod
    def of(cls, logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, group_rows: int) -> Self:
        own = labels.astype(np.int64)
        nats = _of_groups(nats_of(logits, own), weights, group_rows)
        return cls(own, logits.argmax(axis=1), logits.shape[1], nats)

    def figures(self, times_G: NDArray[np.int64], weights: NDArray[Any]) -> Figures:
        is_hit = self.labels == self.told
        counted = ((self.labels, weights), (self.told, weights), (self.labels, weights * is_hit))
        mass, told, hits = (np.bincount(keys, each, self.num_classes) for keys, each in counted)
        rows, of_shares = float(mass.sum()), entropy_of(mass)
        if of_shares == 0:
            return {}
        log_loss = _mean(times_G, self.nats, rows)
        shares = {"accuracy": float(hits.sum()) / rows, "macro_f1": macro_f1(mass, told, hits)}
        return {"log_loss": log_loss, "ne": log_loss / of_shares, **shares}


@dataclass(frozen=True, eq=False)
class _Numbers:
    mass: Floats  # [G] rows of each group, or their weight
    distances: Floats  # [G] sum of labels less their mean over all rows, weighted where the rows are
    squared_distances: Floats  # [G]
    squared_errors: Floats  # [G]
    absolute_errors: Floats  # [G]

    @classmethod
    def of(cls, logits: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None, group_rows: int) -> Self:
        told, own = logits.astype(np.float64), labels.astype(np.float64)
        d = own - np.average(own, weights=weights)
        each = (np.ones(len(d)), d, d**2, (told - own) ** 2, np.abs(told - own))
        return cls(*(_of_groups(one, weights, group_rows) for one in each))

    def figures(self, times_G: NDArray[np.int64], weights: NDArray[Any]) -> Figures:
        rows = float((times_G * self.mass).sum())
        sums = (self.distances, self.squared_distances, self.squared_errors, self.absolute_errors)
        distance, squared, error, absolute = (_mean(times_G, one, rows) for one in sums)
        variance = squared - distance**2
        if variance <= ALL_EQUAL * squared:
            return {}
        return {"ne": error / variance, "rmse": error**0.5, "mae": absolute}


def _of_groups(of_rows: Floats, weights: NDArray[Any] | None, group_rows: int) -> Floats:
    """[G] sums over the rows [n] of each group, weighted where the rows are."""
    weighted = of_rows if weights is None else of_rows * weights
    sums: Floats = np.add.reduceat(weighted, np.arange(0, len(weighted), group_rows))
    return sums


def _mean(times_G: NDArray[np.int64], of_groups: Floats, rows: float) -> float:
    """A row's; not by @, whose threads cost more than they save."""
    return float((times_G * of_groups).sum()) / max(rows, 1e-300)
