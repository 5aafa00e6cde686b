"""TrainConfig: all that a retrain depends on but the rows. `schemas.loading` reads one from YAML and overrides."""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt, Tag, model_validator

from schemas.features import FROZEN, FeatureSpec
from schemas.locations import Location, StorageUri, absolute, absolute_tracking
from schemas.night import NightConfig
from schemas.stage import Share, StageConfig, control_of


class DateSplit(BaseModel):
    """Train on days, hold out later ones. By default the newest day is held out and all before it are trained on."""

    model_config = FROZEN
    by: Literal["date"] = "date"
    test_dates: tuple[datetime.date, ...] = Field(default=(), description="Held-out days; none given: the newest.")
    train_from: datetime.date | None = Field(default=None, description="First training day; none: the oldest.")
    train_to: datetime.date | None = Field(default=None, description="Last training day; none: before the held-out.")

    @model_validator(mode="after")
    def _training_precedes_the_held_out_days(self) -> Self:
        if self.train_to and self.test_dates and self.train_to >= min(self.test_dates):
            raise ValueError(f"train_to {self.train_to} is not before the first held-out day {min(self.test_dates)}")
        if self.train_from and self.train_to and self.train_from > self.train_to:
            raise ValueError(f"train_from {self.train_from} is after train_to {self.train_to}")
        return self


class RandomSplit(BaseModel):
    """Hold out the rows whose hash of the row key falls into the lowest `test_share`: the same rows at every call."""

    model_config = FROZEN
    by: Literal["random"]
    row_key: str = Field(description="Column that names a row.")
    test_share: Share = Field(default=0.2, description="Share of the rows that are held out.")
    seed: int = Field(default=0, ge=0, description="Another seed holds out other rows.")


def _by(split: Any) -> str:
    """Which split is meant: by date, where nothing says otherwise."""
    return str(split.get("by", "date") if isinstance(split, dict) else getattr(split, "by", "date"))


class DataConfig(BaseModel):
    """Where the click log lies and how its rows are divided."""

    model_config = FROZEN
    logs_uri: StorageUri = Field(description="Folder of `date=YYYY-MM-DD/` partitions, any fsspec URI.")
    features: Annotated[FeatureSpec, Location(absolute)] = Field(
        description="The columns; in YAML also the path of a file that holds them."
    )
    split: Annotated[Annotated[DateSplit, Tag("date")] | Annotated[RandomSplit, Tag("random")], Discriminator(_by)] = (
        DateSplit()
    )
    rows_per_part: PositiveInt = Field(default=1_000_000, description="Rows of a file of the encoded store, at most.")
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the training rows, drawn at random, that early stopping, calibration and sweeps go by.",
    )
    negative_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the training rows without a click that is kept, drawn at random (He et al. 2014); what "
        "models return is corrected for it.",
    )
    max_bad_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of a day's rows that may break the contract, which are then left out and written to "
        "`quarantine/` in the work folder with the reason; more are refused. 0: the first one is refused.",
    )

    @model_validator(mode="after")
    def _the_split_goes_by_a_column_that_is_read(self) -> Self:
        if isinstance(self.split, RandomSplit) and self.split.row_key not in self.features.columns:
            raise ValueError(
                f"split.row_key {self.split.row_key!r} is no column that the feature spec reads; "
                f"name it as row_key there, beside: {', '.join(self.features.columns)}"
            )
        return self


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
    max_failures: int = Field(default=3, ge=0, description="Restarts of the worker group before the run fails.")


class ClusterConfig(BaseModel):
    """What the run takes of the Ray cluster."""

    model_config = FROZEN
    address: str | None = Field(
        default=None, description="Ray address; none: that of `RAY_ADDRESS`, else a local cluster."
    )
    num_workers: NonNegativeInt = Field(
        default=1,
        description="Training ranks of the Ray Train job. 0: one, in the command's own process and on its CPU, which "
        "saves the job's ten seconds of start where rows are few; a stage that was cut short then begins again.",
    )
    cpus_per_worker: PositiveFloat = Field(default=1.0, description="CPUs that Ray sets aside for each worker.")
    use_gpu: bool = Field(default=False, description="One GPU a worker, over nccl; else CPU, over gloo.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Format of the layers' matrix products while training; auto: bfloat16 where the hardware "
        "multiplies it. Parameters, the table and all scoring are float32.",
    )
    fused: bool = Field(
        default=True, description="Train FM on a CPU by the fused kernels, where Numba is installed and they apply."
    )
    compile: bool = Field(default=False, description="torch.compile the layers: a minute at the start, needs g++.")

    @property
    def num_ranks(self) -> int:
        return max(1, self.num_workers)

    @model_validator(mode="after")
    def _a_gpu_wants_a_worker(self) -> Self:
        if self.use_gpu and not self.num_workers:
            raise ValueError("use_gpu wants workers: set num_workers to 1 or more")
        return self


class MLflowConfig(BaseModel):
    """Where runs are recorded and models registered."""

    model_config = FROZEN
    tracking_uri: Annotated[str | None, Location(absolute_tracking)] = Field(
        default=None,
        description="MLflow's address; none: that of `MLFLOW_TRACKING_URI`, else SQLite in the work folder.",
    )
    experiment: str = Field(default="nightjar", description="MLflow's experiment that holds the runs.")
    registered_model: str = Field(
        default="ctr", pattern=r"^[^/:@]+$", description="Name that models are registered by: `models:/ctr@champion`."
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
    control: bool = Field(
        default=False,
        description="Beside each stage that starts from another, train the same net from random rows, on as many rows "
        "in all, those of the stages before it included: the lift over it is what pretraining bought.",
    )
    calibration: Literal["none", "platt", "isotonic"] = Field(
        default="none", description="A layer over the logits, fitted to the validation rows when a stage has ended."
    )
    checkpoint: CheckpointConfig = CheckpointConfig()
    cluster: ClusterConfig = ClusterConfig()
    mlflow: MLflowConfig = MLflowConfig()
    night: NightConfig = NightConfig()

    @model_validator(mode="after")
    def _stages_start_from_earlier_ones(self) -> Self:
        earlier: set[str] = set()
        for stage in self.stages:
            if stage.name in earlier:
                raise ValueError(f"two stages are named {stage.name!r}")
            if stage.init_from is not None and not stage.starts_from_model and stage.init_from not in earlier:
                raise ValueError(
                    f"stage {stage.name!r} starts from {stage.init_from!r}, which is no earlier stage; "
                    f"earlier: {', '.join(sorted(earlier)) or 'none'}"
                )
            earlier.add(stage.name)
        of_name = {stage.name: stage for stage in self.stages}
        for stage in self.stages:
            origin = of_name.get(stage.init_from or "", stage)
            if self.control and origin.last_days != stage.last_days:
                raise ValueError(
                    f"stage {stage.name!r} trains on last_days {stage.last_days}, {origin.name!r} on "
                    f"{origin.last_days}: a control of equal rows needs both alike, or `control: false`"
                )
        names = [stage.name for stage in self.plan]
        for stage in self.plan:
            if names.count(stage.name) > 1:
                raise ValueError(
                    f"`control: true` adds a stage {stage.name!r}, which is there already: rename that one"
                )
            if stage.control_of is not None and stage.control_of not in names:
                raise ValueError(f"stage {stage.name!r} is the control of {stage.control_of!r}, which is no stage")
        return self

    @model_validator(mode="after")
    def _slices_are_columns(self) -> Self:
        spec = self.data.features
        for name in self.night.gate.slices:
            if name not in (*spec.columns, *spec.ignored):
                raise ValueError(f"night.gate.slices names {name!r}, which is no column of the feature spec")
        return self

    @model_validator(mode="after")
    def _what_is_judged_by_validation_rows_has_some(self) -> Self:
        wanting = [f"stage {stage.name!r} with early_stop" for stage in self.stages if stage.early_stop]
        wanting += [f"calibration {self.calibration!r}"] if self.calibration != "none" else []
        if wanting and not self.data.validation_share:
            raise ValueError(f"{wanting[0]} needs validation rows: set data.validation_share, for example to 0.05")
        return self

    @property
    def plan(self) -> tuple[StageConfig, ...]:
        """The stages in the order that they are trained in, controls included."""
        if not self.control:
            return self.stages
        of_name = {stage.name: stage for stage in self.stages}
        pairs = [(stage, control_of(stage, of_name)) for stage in self.stages]
        return tuple(stage for pair in pairs for stage in pair if stage is not None)

    @model_validator(mode="after")
    def _batches_divide_among_the_workers(self) -> Self:
        for stage in self.stages:
            if stage.batch_size % self.cluster.num_ranks:
                raise ValueError(
                    f"stage {stage.name!r}: batch_size {stage.batch_size} does not divide among "
                    f"{self.cluster.num_workers} workers"
                )
        return self
