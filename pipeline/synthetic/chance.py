"""Chances: shares of values, draws by them, and log-odds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def zipf(count: int, exponent: float = 1.0) -> Array:
    """Shares of ranks 1, 2, ...: (rank + 3)^-exponent, summing to 1; the offset keeps any one id from ruling."""
    shares = np.power(np.arange(count) + 4.0, -exponent)
    return np.asarray(shares / shares.sum())


def draw(rng: np.random.Generator, shares: Array, count: int) -> Array:
    """`count` indices, i with probability shares[i] / sum."""
    bounds = np.cumsum(shares)
    drawn = np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")
    return np.asarray(np.minimum(drawn, len(shares) - 1))  # rounding can reach the last bound


def sigmoid(logits: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def intercept(logits: Array, click_rate: float) -> float:
    """The b for which sigmoid(b + logits) has mean `click_rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(middle + logits).mean() > click_rate else (middle, high)
    return low
