"""What a step finds: the losses of its rows, or that they are no longer numbers."""

from dataclasses import dataclass

from torch import Tensor

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
    log_loss: Tensor
    weight: Tensor
    clicks: Tensor
