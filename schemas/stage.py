"""StageConfig: one model of a plan, how it is trained and where it starts from."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schemas.checking import BY_HAND, derived
from schemas.days import StageDays, spans
from schemas.features import FROZEN
from schemas.locations import Location, absolute_model
from schemas.transfer import TransferConfig as TransferConfig

WARM, REFRESH = "warm", "refresh"  # stages that nights train beside those of the config
ORIGIN = "origin-"  # a registered model among the stages of a run, and a digest of its URI
ModelName = Literal["fm", "dnn", "fnn", "deepfm"]
Share = Annotated[float, Field(gt=0, lt=1)]


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
        "ones, the nets up to hundreds of times more where ids are seen often: sweep them apart.",
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


class RBMConfig(BaseModel):
    """Hidden layers pretrained one on another as restricted Boltzmann machines (Zhang et al. 2016)."""

    model_config = FROZEN
    rows: PositiveInt = Field(default=65_536, description="Training rows that they learn from.")
    epochs: PositiveInt = Field(default=1, description="Passes over these rows, for each layer.")
    learning_rate: PositiveFloat = 0.01


class EarlyStopConfig(BaseModel):
    """Stop when NE on the validation rows no longer falls; what a stage publishes is its state at the lowest."""

    model_config = FROZEN
    every_epochs: PositiveFloat = Field(default=0.25, description="Epochs between two looks at the validation rows.")
    patience: PositiveInt = Field(
        default=2, description="Looks in a row without a new lowest NE, after which it stops."
    )


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


class ControlConfig(BaseModel):
    """What a stage's control may have to itself, so that both can be tuned alike; none: as the stage."""

    model_config = FROZEN
    embedding: EmbeddingConfig | None = None
    optimizer: OptimizerConfig | None = None


class StageConfig(BaseModel):
    """One model of the plan, trained from scratch or from the rows of an earlier stage."""

    model_config = FROZEN
    name: str = Field(pattern=r"^[a-z0-9_-]+$", description="What `init_from`, `--set` and MLflow call the stage.")
    model: ModelName = Field(description="A model of pipeline/models; `dnn` is `fnn` from random rows.")
    init_from: Annotated[str | None, Location(absolute_model)] = Field(
        default=None,
        description="Earlier stage that it starts from, or registered model (models:/name@alias, a bundle's folder): "
        "the vocabulary is then grown from the model's.",
    )
    transfer: TransferConfig = Field(
        default=TransferConfig(), description="What is taken over of it; without init_from of no use."
    )
    control: ControlConfig = Field(default=ControlConfig(), description="How its control differs from it.")
    mlp: MLPConfig = MLPConfig()
    epochs: PositiveFloat = Field(default=1.0, description="Passes over the training rows; 0.25: the oldest quarter.")
    days: StageDays = Field(
        default="all",
        description="Which of the training days it learns from: `all`, or a part. Of a control, `affordable`: as many "
        "of the newest as its net goes over in the seconds that the stage and those before it took.",
    )
    batch_size: PositiveInt = Field(default=4096, description="Rows of one step, over all workers together.")
    embedding: EmbeddingConfig = EmbeddingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Schedule = Field(
        default=LinearSchedule(type="linear"),
        description="How the learning rates of rows and layers change as the stage goes on.",
    )
    early_stop: EarlyStopConfig | None = Field(default=None, description="None: train all epochs.")
    control_of: str | None = Field(
        default=None,
        description="Stage whose lift is measured against this one. `control: true` adds such stages.",
    )

    @field_validator("name")
    @classmethod
    def _is_none_of_our_names(cls, name: str, info: ValidationInfo) -> str:
        if info.context == BY_HAND and (name in (WARM, REFRESH) or name.startswith(ORIGIN)):
            raise ValueError(f"a name other than {WARM}, {REFRESH} and {ORIGIN}..., which nights give to their stages")
        return name

    @property
    def starts_from_model(self) -> bool:
        """Whether it starts from a registered model rather than a stage, whose name has neither of these characters."""
        return self.init_from is not None and (":" in self.init_from or "/" in self.init_from)


def lineages(stages: Sequence[StageConfig]) -> dict[str, tuple[str, ...]]:
    """Stage -> the earlier stages that it comes from, the one that it starts from first."""
    found: dict[str, tuple[str, ...]] = {}
    for stage in stages:
        origin = stage.init_from
        found[stage.name] = (origin, *found[origin]) if origin in found else ()
    return found


def seen_by(stages: Sequence[StageConfig]) -> dict[str, tuple[str, ...]]:
    """Stage -> those that it comes from which learn of days that it learns of as well: they know its rows' labels."""
    own = spans({stage.name: stage.days for stage in stages})
    return {
        name: tuple(one for one in earlier if own[one].overlaps(own[name]))
        for name, earlier in lineages(stages).items()
    }


def resolved(stages: Sequence[StageConfig]) -> tuple[StageConfig, ...]:
    """The stages with all that they take over said, by their days. Raises Refusal for days that cannot be."""
    seen, earlier = seen_by(stages), lineages(stages)
    from_model = {stage.name for stage in stages if stage.starts_from_model}
    return tuple(
        stage.model_copy(
            update={
                "transfer": stage.transfer.resolved(
                    has_seen_the_rows=bool(seen[stage.name])
                    or not from_model.isdisjoint([stage.name, *earlier[stage.name]])
                )
            }
        )
        for stage in stages
    )


def controls_of(stage: StageConfig, wanted: bool | Literal["all"]) -> tuple[StageConfig, ...]:
    """The same net from random rows, on days that the time buys, and for `all` on the stage's own; of a first none."""
    if stage.init_from is None or not wanted:
        return ()
    affordable = derived(
        stage,
        name=f"{stage.name}-control",
        model="dnn" if stage.model == "fnn" else stage.model,
        init_from=None,
        days="affordable",
        embedding=stage.control.embedding or derived(stage.embedding, frozen_steps=0),
        optimizer=stage.control.optimizer or stage.optimizer,
        control_of=stage.name,
    )
    alone = derived(affordable, name=f"{stage.name}-alone", days=stage.days)
    return (affordable, alone) if wanted == "all" else (affordable,)
