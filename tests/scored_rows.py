"""Rows as models of classes and of numbers score them, and the sums that they add up to."""

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.number_sums import NumberSums

Column = NDArray[np.float64]


def of_classes(num_rows: int, seed: int, skill: float = 1.5) -> tuple[Column, Column]:
    """Logits [n, 3] that know something of the labels, a twentieth of which is of the last class."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, num_rows, p=[0.7, 0.25, 0.05])
    return random.normal(0, 1, (num_rows, 3)) + skill * np.eye(3)[labels], labels.astype(float)


def of_numbers(num_rows: int, seed: int, skill: float = 1.0) -> tuple[Column, Column]:
    """Numbers told, somewhat too high and the worse the larger, and the labels, which are skewed."""
    random = np.random.default_rng(seed)
    labels = 5 + random.exponential(3.0, num_rows)
    return labels + random.normal(0.2, (1 + 0.3 * (labels - 5)) / skill), labels


OBJECTIVES = [(ClassSums, of_classes), (NumberSums, of_numbers)]
NAMES = ["classes", "numbers"]
