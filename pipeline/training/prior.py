"""What is known of the labels before the first step: what they mean, and which constant foretells them best."""

from dataclasses import dataclass
from math import log

import numpy as np

from pipeline.data.store import Store
from pipeline.data.target import CLICKS, Target
from pipeline.data.windows import outcomes


@dataclass(frozen=True, slots=True)
class Prior:
    """A model starts from it: no step is spent on learning the mean."""

    target: Target = CLICKS
    bias: tuple[float, ...] = (0.0,)
    """Of each output: the log-odds of a click, the logarithm of a class's share, or 0, as numbers are learned by their
    distance from their mean."""

    @classmethod
    def of_clicks(cls, base_rate: float) -> "Prior":
        return cls(CLICKS, (log(base_rate / (1 - base_rate)),))

    @classmethod
    def of_labels(cls, store: Store) -> "Prior":
        """Of labels that are no clicks. Those of classes are read, and each class counts a row more than it has."""
        target = store.target
        if target.objective == "regression":
            return cls(target)
        counts = np.ones(target.num_outputs)
        for one in outcomes(store, "train"):
            counts += np.bincount(one.labels.astype(np.int64), minlength=target.num_outputs)
        return cls(target, tuple(np.log(counts / counts.sum()).tolist()))


EVEN = Prior()
