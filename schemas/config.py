"""TrainConfig: all that a retrain depends on but the rows. `schemas.loading` reads one from YAML and overrides."""

import re
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from schemas.cluster import ClusterConfig as ClusterConfig
from schemas.cluster import WorkerRange as WorkerRange
from schemas.data import DataConfig as DataConfig
from schemas.data import DateSplit as DateSplit
from schemas.data import RandomSplit as RandomSplit
from schemas.days import Span, spans
from schemas.errors import Refusal
from schemas.features import FROZEN
from schemas.locations import Location, StorageUri, absolute_tracking
from schemas.night import NightConfig, RetentionConfig
from schemas.objective import OF_GATE, OF_QUALITY, only_of_clicks
from schemas.partitioning import TimeColumn
from schemas.plan import check_order, controls_of, resolved
from schemas.stage import StageConfig

MODEL_NAME = r"\w([\w .,+=()-]*[\w,+=()-])?"
MAX_NAME_BYTES = 200  # file systems have room for 255


class TableConfig(BaseModel):
    """The embedding table: a row [w | v] of 1 + dimension floats for every id, and where its rows live."""

    model_config = FROZEN
    dimension: PositiveInt = Field(default=16, description="K, the length of v.")
    init_deviation: PositiveFloat = Field(default=0.01, description="Standard deviation of v at the start; w is 0.")
    placement: Literal["replicated", "row_sharded"] = Field(
        default="replicated",
        description="replicated: each worker holds all rows. row_sharded: worker i of m holds ids i, i + m, ... of "
        "them: the way to train a table that no worker could hold.",
    )
    wire: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="What rows and their gradients travel as between workers; bfloat16 halves the traffic and rounds "
        "to 8 bits.",
    )


class CheckpointConfig(BaseModel):
    """How much work a lost worker costs at most, and how often a run may lose one."""

    model_config = FROZEN
    every_steps: PositiveInt = Field(default=1000, description="Steps between two checkpoints; a stage's end has one.")
    every_seconds: PositiveFloat | None = Field(
        default=300.0,
        description="Seconds between two checkpoints at most, by rank 0's clock, so that slow steps lose no more; "
        "none: `every_steps` alone.",
    )
    max_failures: int = Field(
        default=3,
        ge=0,
        description="Restarts of the worker group before the run fails. Those after a node was taken away that had "
        "been told to go do not count.",
    )


class MLflowConfig(BaseModel):
    """Where runs are recorded and models registered."""

    model_config = FROZEN
    tracking_uri: Annotated[str | None, Location(absolute_tracking)] = Field(
        default=None,
        description="MLflow's address; none: that of `MLFLOW_TRACKING_URI`, else SQLite in the work folder.",
    )
    experiment: str = Field(
        default="nightjar", min_length=1, max_length=500, description="MLflow's experiment that holds the runs."
    )
    registered_model: str = Field(
        default="ctr",
        description="Name that models are registered by: `models:/ctr@champion`; folders of the work folder go by it "
        "too.",
    )

    @field_validator("experiment")
    @classmethod
    def _the_experiment_can_be_read(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("a name that is printed as it is, without blanks around it")
        return name

    @field_validator("registered_model")
    @classmethod
    def _the_model_can_be_asked_for_and_is_a_folder(cls, name: str) -> str:
        """In URIs, in filters of MLflow's, which know no escapes, and on every file system."""
        if not re.fullmatch(MODEL_NAME, name) or len(name.encode()) > MAX_NAME_BYTES:
            raise ValueError(
                f"a name of letters, digits, blanks and _ - . , + = ( ), at most {MAX_NAME_BYTES} bytes, that begins "
                "with a letter, a digit or _ and ends in no blank or point"
            )
        return name


class ExplainConfig(BaseModel):
    """On how many rows, and how surely, it is told what each field is worth to the best stage."""

    model_config = FROZEN
    rows: PositiveInt = Field(default=10_000, description="Held-out rows that are drawn, about; fewer: all of them.")
    repeats: PositiveInt = Field(
        default=5, description="Shuffles of each field, of which the lowest and the highest are told."
    )


class TrainConfig(BaseModel):
    """Everything one retrain depends on but the rows themselves."""

    model_config = FROZEN
    work_uri: StorageUri = Field(
        default=".nightjar", description="Folder of the encoded store, checkpoints and local MLflow."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of all that is drawn: rows, layers, order, dropout.")
    data: DataConfig
    table: TableConfig = TableConfig()
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    control: bool | Literal["all"] = Field(
        default=False,
        description="Beside each stage that starts from another, train the same net from random rows, on as many of "
        "the newest days as the seconds buy which that stage and those before it took: the lift over it is what "
        "pretraining bought. It never serves. `all`: another one too, on the days of the stage alone.",
    )
    calibration: Literal["none", "platt", "isotonic"] = Field(
        default="none", description="A layer over the logits, fitted to the validation rows when a stage has ended."
    )
    checkpoint: CheckpointConfig = CheckpointConfig()
    cluster: ClusterConfig = ClusterConfig()
    mlflow: MLflowConfig = MLflowConfig()
    explain: ExplainConfig | None = Field(
        default=ExplainConfig(),
        description="After the verdict of a retrain or a night, what each field is worth to its best stage: how much "
        "NE rises where the field is shuffled, or missing. none: `nightjar explain` alone tells.",
    )
    night: NightConfig = NightConfig()
    retention: RetentionConfig = RetentionConfig()

    @field_validator("stages")
    @classmethod
    def _stages_say_what_they_take_over(cls, stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        return resolved(stages)

    @model_validator(mode="after")
    def _stages_start_from_earlier_ones(self) -> Self:
        check_order(self.stages, self.plan)
        return self

    @model_validator(mode="after")
    def _slices_are_columns(self) -> Self:
        spec = self.data.features
        for name in self.night.gate.slices:
            if name not in (*spec.columns, *spec.ignored):
                raise Refusal(
                    found=f"{name!r}, which is no column of the feature spec",
                    expected=f"columns among {', '.join([*spec.columns, *spec.ignored])}",
                    where="night.gate.slices",
                    remedy="correct the name, or leave it away",
                )
        return self

    @model_validator(mode="after")
    def _what_speaks_of_clicks_has_some(self) -> Self:
        objective, gate, quality = self.data.features.objective, self.night.gate, self.night.quality
        only_of_clicks(objective, "calibration", self.calibration, "none")
        for stage in self.stages:
            only_of_clicks(objective, f"stages.{stage.name}.negative_share", stage.negative_share, 1.0)
        for section, name, keys in ((gate, "gate", OF_GATE), (quality, "quality", OF_QUALITY)):
            for key in keys:
                default = type(section).model_fields[key].default
                only_of_clicks(objective, f"night.{name}.{key}", getattr(section, key), default)
        return self

    @model_validator(mode="after")
    def _a_day_s_own_file_lies_in_its_folder(self) -> Self:
        if self.night.complete == "success_file" and isinstance(self.data.partitioning, TimeColumn):
            raise Refusal(
                found="success_file, where a column tells the days",
                expected="later_day or delay: a day has no folder of its own that could hold the file",
                where="night.complete",
                remedy="set night.complete to later_day, or to delay",
            )
        return self

    @model_validator(mode="after")
    def _what_is_judged_by_validation_rows_has_some(self) -> Self:
        wanting = [f"stage {stage.name!r} with early_stop" for stage in self.stages if stage.early_stop]
        wanting += [f"calibration {self.calibration!r}"] if self.calibration != "none" else []
        if wanting and not self.data.has_validation:
            raise Refusal(
                found=f"{wanting[0]} needs validation rows, and there are none",
                expected="rows to go by that are neither trained on nor held out",
                where="data.validation_share",
                remedy="set data.validation_share, for example to 0.05, or data.split.validation_dates",
            )
        return self

    @property
    def plan(self) -> tuple[StageConfig, ...]:
        """The stages in the order that they are trained in, controls included."""
        if not self.control:
            return self.stages
        return tuple(one for stage in self.stages for one in (stage, *controls_of(stage, self.control)))

    def span_of(self, stage: StageConfig) -> Span:
        """Which of the training days a stage of the plan learns from."""
        return spans({one.name: one.days for one in (*self.stages, stage)})[stage.name]

    @model_validator(mode="after")
    def _batches_divide_among_the_workers(self) -> Self:
        for stage in self.stages:
            for num_workers in sorted({self.cluster.least_workers, self.cluster.most_workers}):
                if num_workers and stage.batch_size % num_workers:
                    raise Refusal(
                        found=f"stage {stage.name!r}: batch_size {stage.batch_size} does not divide among "
                        f"{num_workers} workers",
                        expected="as many rows of each step for every worker",
                        where=f"stages.{stage.name}.batch_size, cluster.num_workers",
                        remedy=f"choose a multiple of {num_workers}, or another number of workers",
                    )
        return self

    @property
    def numbers_of_ranks(self) -> tuple[int, ...]:
        """All that the run may take: those among which the batches of every stage divide."""
        least, most = self.cluster.fewest_ranks, max(1, self.cluster.most_workers)
        sizes = [stage.batch_size for stage in self.plan]
        return tuple(count for count in range(least, most + 1) if not any(size % count for size in sizes))
