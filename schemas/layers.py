"""MLPConfig: the hidden layers of a net, and how they start."""

from typing import Literal, Self

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

from schemas.features import FROZEN


class RBMConfig(BaseModel):
    """Hidden layers pretrained one on another as restricted Boltzmann machines (Zhang et al. 2016)."""

    model_config = FROZEN
    rows: PositiveInt = Field(default=65_536, description="Training rows that they learn from.")
    epochs: PositiveInt = Field(default=1, description="Passes over these rows, for each layer.")
    learning_rate: PositiveFloat = 0.01


class MLPConfig(BaseModel):
    """The hidden layers over the rows; an output unit of its own always follows."""

    model_config = FROZEN
    hidden: tuple[PositiveInt, ...] = Field(default=(300, 100), description="Units of each hidden layer.")
    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu"] = Field(
        default="relu", description="What follows each hidden layer."
    )
    initializer: Literal["uniform", "normal", "xavier", "kaiming"] = Field(
        default="xavier",
        description="How first weights are drawn, by torch's function of that name; biases start at 0.",
    )
    init_scale: PositiveFloat = Field(default=0.05, description="Bound of `uniform`, standard deviation of `normal`.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of each hidden layer's units set to 0 in a step."
    )
    batch_norm: bool = Field(
        default=False, description="Normalize each hidden layer over the batch, before activation."
    )
    rbm: RBMConfig | None = Field(default=None, description="Pretrain the hidden layers; none: start them at random.")

    @model_validator(mode="after")
    def _rbm_has_no_batch_norm(self) -> Self:
        if self.rbm and self.batch_norm:
            raise ValueError("rbm pretrains what batch_norm would normalise away: choose one of them")
        return self

    @property
    def shape(self) -> str:
        """What decides which tensors it has, and how large."""
        extras = [name for name, has in (("batch_norm", self.batch_norm), ("dropout", self.dropout > 0)) if has]
        return ", ".join(["x".join(map(str, self.hidden)) or "no hidden units", *extras])
