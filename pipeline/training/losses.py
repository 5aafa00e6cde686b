"""What a step finds: the losses of its rows, or that they are no longer numbers."""

from dataclasses import dataclass
from math import log
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.target import Target
from schemas.stage import StageConfig


class Diverged(ArithmeticError):
    """The loss is no longer a number."""

    @classmethod
    def at(cls, step: int, stage: StageConfig, num_rows: int) -> "Diverged":
        return cls(
            f"stage {stage.name!r}, step {step}: the loss of this batch of {num_rows:,} rows a rank is no number; "
            f"a lower learning rate than embedding.learning_rate={stage.embedding.learning_rate} and "
            f"optimizer.learning_rate={stage.optimizer.learning_rate} is the usual remedy"
        )


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums over the rows of one rank's batch, as the step found the state."""

    num_rows: int
    loss: Tensor
    weight: Tensor
    outcomes: Tensor
    """What the best constant goes by: see the objective's Loss."""


class Loss(Protocol):
    """An objective's."""

    @property
    def name(self) -> str:
        """By which curves of it are known."""

    def total(self, logits: Tensor, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        """The weighted sum over a model's rows, and over its members where it has several."""

    def outcomes(self, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        """Sums over rows that `of_best_constant` needs of them."""

    def of_best_constant(self, weight: float, outcomes: NDArray[np.float64]) -> float | None:
        """The loss a row of what always says the same, and says it best; None where it has none: nothing to learn."""


@dataclass(frozen=True, slots=True)
class ClickLoss:
    """Cross-entropy of a click; `offset` is added to the logits: see `step.build_step`. Outcomes: clicks, []."""

    offset: float = 0.0
    name = "log_loss"

    def total(self, logits: Tensor, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        """Of logits [B] or [M, B]."""
        logits = logits + self.offset
        labels = labels_B.expand_as(logits)
        return F.binary_cross_entropy_with_logits(logits, labels, weights_B, reduction="sum")

    def outcomes(self, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        return (labels_B * weights_B).sum()

    def of_best_constant(self, weight: float, outcomes: NDArray[np.float64]) -> float | None:
        rate = float(outcomes) / weight
        return -(rate * log(rate) + (1 - rate) * log(1 - rate)) if 0 < rate < 1 else None


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """Cross-entropy of the softmax over `num_classes`. Outcomes: the weight of each class, [C]."""

    num_classes: int
    name = "log_loss"

    def total(self, logits: Tensor, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        """Of logits [B, C] or [M, B, C]."""
        log_p = F.log_softmax(logits, dim=-1)
        index = labels_B.long()[:, None].expand(*logits.shape[:-1], 1)
        return -(log_p.gather(-1, index).squeeze(-1) * weights_B).sum()

    def outcomes(self, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        return torch.zeros(self.num_classes, device=labels_B.device).index_add_(0, labels_B.long(), weights_B)

    def of_best_constant(self, weight: float, outcomes: NDArray[np.float64]) -> float | None:
        shares = outcomes[outcomes > 0] / weight
        return -float((shares * np.log(shares)).sum()) if len(shares) > 1 else None


@dataclass(frozen=True, slots=True)
class NumberLoss:
    """Half the squared error in deviations of the training rows, whose gradient is about as long as that of a click.

    Outcomes: sums of the scaled labels and of their squares, [2].
    """

    target: Target
    name = "half_squared_error"

    def total(self, logits: Tensor, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        """Of logits [B] or [M, B]."""
        return 0.5 * ((logits - self._scaled(labels_B)).square() * weights_B).sum()

    def outcomes(self, labels_B: Tensor, weights_B: Tensor) -> Tensor:
        z_B = self._scaled(labels_B)
        return torch.stack([(z_B * weights_B).sum(), (z_B.square() * weights_B).sum()])

    def of_best_constant(self, weight: float, outcomes: NDArray[np.float64]) -> float | None:
        mean, mean_square = outcomes / weight
        variance = float(mean_square - mean**2)
        return 0.5 * variance if variance > 0 else None

    def _scaled(self, labels_B: Tensor) -> Tensor:
        return (labels_B - self.target.shift) / self.target.scale


def loss_of(target: Target, offset: float = 0.0) -> Loss:
    """The objective's; `offset` is of clicks alone."""
    match target.objective:
        case "binary":
            return ClickLoss(offset)
        case "multiclass":
            return ClassLoss(target.num_outputs)
        case "regression":
            return NumberLoss(target)
