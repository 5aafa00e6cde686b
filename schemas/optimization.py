"""How a stage's rows and layers are updated: their optimizers, and the learning rate's schedule."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

from schemas.features import FROZEN, Share


class ConstantSchedule(BaseModel):
    """The learning rate as it is."""

    model_config = FROZEN
    type: Literal["constant"] = "constant"


class StepSchedule(BaseModel):
    """Times `factor` after every `every_steps` steps."""

    model_config = FROZEN
    type: Literal["step"]
    every_steps: PositiveInt
    factor: Share = 0.5


class ExponentialSchedule(BaseModel):
    """Times `factor` over `over_steps` steps, smoothly: factor ^ (step / over_steps)."""

    model_config = FROZEN
    type: Literal["exponential"]
    over_steps: PositiveInt
    factor: Share = 0.5


class LinearSchedule(BaseModel):
    """Falls in a straight line over the whole stage to `final_factor` of the learning rate."""

    model_config = FROZEN
    type: Literal["linear"]
    final_factor: float = Field(default=0.0, ge=0, le=1)


Schedule = Annotated[
    ConstantSchedule | StepSchedule | ExponentialSchedule | LinearSchedule, Field(discriminator="type")
]


class OptimizerConfig(BaseModel):
    """How the dense part (the MLP and the global bias) is updated."""

    model_config = FROZEN
    name: Literal["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] = Field(
        default="adam", description="torch's own of that name; momentum: its SGD with one."
    )
    learning_rate: PositiveFloat = Field(default=0.001, description="Before `schedule` and `layer_decay`.")
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="Share of the last step that the next one keeps; read by `momentum` alone."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled in `adamw`, else L2 in the gradient.")
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="The output unit and the biases learn at learning_rate, each layer below at this times the next's.",
    )


class ClipConfig(BaseModel):
    """CowClip (Zheng et al. 2022): a row's gradient is at most count * max(ratio * |row|, floor) long.

    `count` is how often the batch holds the row's id. It lets batches grow without a smaller learning rate of the rows.
    """

    model_config = FROZEN
    ratio: PositiveFloat = 1.0
    floor: PositiveFloat = 1e-5


class EmbeddingConfig(BaseModel):
    """How the table's rows are updated: row by row, with one accumulator each, and only those that a batch touches."""

    model_config = FROZEN
    name: Literal["adagrad", "adam"] = Field(
        default="adagrad", description="Row-wise; `adam` also keeps a first moment as large as the table."
    )
    learning_rate: PositiveFloat = Field(default=0.1, description="About 0.1 for adagrad, 0.001 for adam.")
    epsilon: PositiveFloat = Field(default=1e-8, description="Added to the accumulator's root, which it is divided by.")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Decay of the first moment; read by `adam` alone.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Decay of the second moment; read by `adam` alone.")
    l2: float = Field(
        default=0.0,
        ge=0,
        description="lambda of lambda/2 |row|^2 over the rows that a batch touches. FM and the nets want different "
        "ones, the nets up to hundreds of times more where ids are seen often: sweep them apart. Where it is left "
        "away, it is 0.05 over the batch size.",
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="Each step multiplies all rows of the table by 1 - learning_rate * weight_decay.",
    )
    clip: ClipConfig | None = Field(default=None, description="Clip each row's gradient as CowClip does; none: not.")
    frozen_steps: int = Field(
        default=0, ge=0, description="Steps at a stage's start that leave the rows alone, while the dense part learns."
    )

    @model_validator(mode="after")
    def _a_step_decays_less_than_all(self) -> Self:
        if self.learning_rate * self.weight_decay >= 1:
            raise ValueError(
                f"learning_rate {self.learning_rate:g} times weight_decay {self.weight_decay:g} is not below 1"
            )
        return self
