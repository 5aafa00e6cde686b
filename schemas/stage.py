"""StageConfig: one model of a plan, how it is trained and where it starts from."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator, model_validator

from schemas.checking import BY_HAND
from schemas.days import StageDays
from schemas.errors import Refusal
from schemas.features import FROZEN
from schemas.layers import MLPConfig as MLPConfig
from schemas.layers import RBMConfig as RBMConfig
from schemas.locations import Location, absolute_model
from schemas.optimization import EmbeddingConfig, LinearSchedule, OptimizerConfig, Schedule
from schemas.transfer import TransferConfig

WARM, REFRESH = "warm", "refresh"  # stages that nights train beside those of the config
ORIGIN = "origin-"  # a registered model among the stages of a run, and a digest of its URI
ModelName = Literal["fm", "dnn", "fnn", "deepfm"]


class EarlyStopConfig(BaseModel):
    """Stop when NE on the validation rows no longer falls; what a stage publishes is its state at the lowest."""

    model_config = FROZEN
    every_epochs: PositiveFloat = Field(default=0.25, description="Epochs between two looks at the validation rows.")
    patience: PositiveInt = Field(
        default=2, description="Looks in a row without a new lowest NE, after which it stops."
    )


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
    members: PositiveInt = Field(
        default=1,
        description="Nets over the same rows, each with layers, first weights and a loss of its own; what is served is "
        "the mean of their probabilities. The rows learn by the mean of their gradients. Not of fm, nor with mlp.rbm.",
    )
    epochs: PositiveFloat = Field(
        default=1.0,
        description="Passes over the training rows; 0.25: the oldest quarter. Where it is left away, two below 100,000 "
        "rows.",
    )
    days: StageDays = Field(
        default="all",
        description="Which of the training days it learns from: `all`, or a part. Of a control, `affordable`: as many "
        "of the newest as its net goes over in the seconds that the stage and those before it took.",
    )
    negative_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of its days' rows without a click that it goes over, of those that `data.negative_share` "
        "has kept: the same ones each time. What it returns is corrected for both shares.",
    )
    batch_size: PositiveInt = Field(
        default=4096,
        description="Rows of one step, over all workers together. Where it is left away, fewer below two million rows "
        "of the stage: some 500 steps a pass.",
    )
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

    @model_validator(mode="after")
    def _members_are_nets_drawn_at_random(self) -> Self:
        if self.members > 1 and (self.model == "fm" or self.mlp.rbm):
            is_fm = self.model == "fm"
            raise Refusal(
                found=f"{self.members} members of {'an fm' if is_fm else 'a net whose layers are pretrained by RBMs'}",
                expected="1: members differ by their layers, "
                + ("of which fm has none" if is_fm else "and RBMs pretrain those of one net"),
                where=f"stages.{self.name}.members",
                remedy="leave members away" if is_fm else "leave members or mlp.rbm away",
            )
        return self

    def check_layers(self, other: "StageConfig", name: str) -> None:
        """Raise Refusal where it is to take over the layers of `other`, known as `name`, and has unlike ones."""
        own, its = self._layers, other._layers
        if self.transfer.dense and own != its:
            raise Refusal(
                found=f"transfer.dense from {name}, which has {its}",
                expected=f"layers like its own: {own}",
                where=f"stages.{self.name}.transfer.dense",
                remedy="make the two alike, or leave dense away, so that the layers start fresh",
            )

    @property
    def _layers(self) -> str:
        """What another's must be like for their tensors to be of the same shapes."""
        if self.model == "fm":
            return "no layers"
        return f"{self.members} x {'fnn' if self.model == 'dnn' else self.model} of {self.mlp.shape}"

    @property
    def starts_from_model(self) -> bool:
        """Whether it starts from a registered model rather than a stage, whose name has neither of these characters."""
        return self.init_from is not None and (":" in self.init_from or "/" in self.init_from)
