"""TrainConfig and how it is loaded: YAML, checked, with `--set a.b=c` on top."""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from schemas.features import FROZEN, FeatureSpec

ModelName = Literal["fm", "dnn", "fnn", "deepfm"]
Share = Annotated[float, Field(gt=0, lt=1)]


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
    test_share: Share = 0.2
    seed: int = Field(default=0, ge=0, description="Another seed holds out other rows.")


def _split_by(split: Any) -> str:
    """Which split is meant: by date, where nothing says otherwise."""
    return str(split.get("by", "date") if isinstance(split, dict) else split.by)


class DataConfig(BaseModel):
    """Where the click log lies and how its rows are divided."""

    model_config = FROZEN
    logs_uri: str = Field(description="Folder of `date=YYYY-MM-DD/` partitions, any fsspec URI.")
    features: FeatureSpec = Field(description="The columns; in YAML also a path, relative to the config's folder.")
    split: Annotated[
        Annotated[DateSplit, Tag("date")] | Annotated[RandomSplit, Tag("random")], Discriminator(_split_by)
    ] = DateSplit()
    rows_per_part: PositiveInt = Field(default=1_000_000, description="Rows of a file of the encoded store, at most.")

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
    name: Literal["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 0.001
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of `momentum` alone.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled in `adamw`, else L2 in the gradient.")


class RowClipConfig(BaseModel):
    """CowClip (Zheng et al. 2022): a row's gradient is at most count * max(ratio * |row|, floor) long.

    `count` is how often the batch holds the row's id. It lets batches grow without a smaller learning rate of the rows.
    """

    model_config = FROZEN
    ratio: PositiveFloat = 1.0
    floor: PositiveFloat = 1e-5


class RowOptimizerConfig(BaseModel):
    """How the table's rows are updated: row by row, with one accumulator each, and only those that a batch touches."""

    model_config = FROZEN
    name: Literal["adagrad", "adam"] = Field(
        default="adagrad", description="Row-wise; `adam` also keeps a first moment as large as the table."
    )
    learning_rate: PositiveFloat = Field(default=0.1, description="About 0.1 for adagrad, 0.001 for adam.")
    epsilon: PositiveFloat = 1e-8
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Of `adam` alone: decay of the first moment.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Of `adam` alone: decay of the second moment.")
    l2: float = Field(default=0.0, ge=0, description="lambda of lambda/2 |row|^2 over the rows that a batch touches.")
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="Of the whole table: each step multiplies all its rows by 1 - learning rate * weight_decay.",
    )
    clip: RowClipConfig | None = Field(default=None, description="Clip each row's gradient as CowClip does; none: not.")

    @model_validator(mode="after")
    def _a_step_decays_less_than_all(self) -> Self:
        if self.learning_rate * self.weight_decay >= 1:
            raise ValueError(
                f"learning_rate {self.learning_rate:g} times weight_decay {self.weight_decay:g} is not below 1"
            )
        return self


class MLPConfig(BaseModel):
    """The hidden layers over the rows; an output unit of its own always follows."""

    model_config = FROZEN
    hidden: tuple[PositiveInt, ...] = Field(default=(300, 100), description="Units of each hidden layer.")
    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu"] = "relu"
    initializer: Literal["uniform", "normal", "xavier", "kaiming"] = "xavier"
    init_scale: PositiveFloat = Field(default=0.05, description="Bound of `uniform`, standard deviation of `normal`.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    batch_norm: bool = False


class StageConfig(BaseModel):
    """One model of the plan, trained from scratch or from the rows of an earlier stage."""

    model_config = FROZEN
    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    model: ModelName
    init_from: str | None = Field(default=None, description="Earlier stage whose rows and accumulators it starts from.")
    mlp: MLPConfig = MLPConfig()
    epochs: PositiveInt = 1
    batch_size: PositiveInt = Field(default=4096, description="Rows of one step, over all workers together.")
    rows: RowOptimizerConfig = RowOptimizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Schedule = Field(default=LinearSchedule(type="linear"), description="Of both learning rates.")


class CheckpointConfig(BaseModel):
    """How much work a lost worker costs at most, and how often a run may lose one."""

    model_config = FROZEN
    every_steps: PositiveInt = Field(default=1000, description="Steps between two checkpoints; a stage's end has one.")
    max_failures: int = Field(default=3, ge=0, description="Restarts of the worker group before the run fails.")


class ClusterConfig(BaseModel):
    """What the run takes of the Ray cluster."""

    model_config = FROZEN
    address: str | None = Field(default=None, description="Ray address; none: $RAY_ADDRESS, else a local cluster.")
    num_workers: PositiveInt = Field(default=1, description="Training ranks.")
    cpus_per_worker: PositiveFloat = 1.0
    use_gpu: bool = Field(default=False, description="One GPU a worker, over nccl; else CPU, over gloo.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Of the layers' matrix products while training; auto: bfloat16 where the hardware multiplies it. "
        "Parameters, the table and all scoring are float32.",
    )
    fused: bool = Field(
        default=True, description="Train FM on a CPU by the fused kernels, where Numba is installed and they apply."
    )
    compile: bool = Field(default=False, description="torch.compile the layers: a minute at the start, needs g++.")


class MLflowConfig(BaseModel):
    """Where runs are recorded and models registered."""

    model_config = FROZEN
    tracking_uri: str | None = Field(
        default=None, description="None: $MLFLOW_TRACKING_URI, else SQLite in the work folder."
    )
    experiment: str = "nightjar"
    registered_model: str = Field(default="ctr", pattern=r"^[^/:@]+$")


class TrainConfig(BaseModel):
    """Everything one retrain depends on but the rows themselves."""

    model_config = FROZEN
    work_uri: str = Field(default=".nightjar", description="Folder of the encoded store, checkpoints and local MLflow.")
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: DataConfig
    table: TableConfig = TableConfig()
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    checkpoint: CheckpointConfig = CheckpointConfig()
    cluster: ClusterConfig = ClusterConfig()
    mlflow: MLflowConfig = MLflowConfig()

    @model_validator(mode="after")
    def _stages_start_from_earlier_ones(self) -> Self:
        earlier: set[str] = set()
        for stage in self.stages:
            if stage.name in earlier:
                raise ValueError(f"two stages are named {stage.name!r}")
            if stage.init_from is not None and stage.init_from not in earlier:
                raise ValueError(
                    f"stage {stage.name!r} starts from {stage.init_from!r}, which is no earlier stage; "
                    f"earlier: {', '.join(sorted(earlier)) or 'none'}"
                )
            earlier.add(stage.name)
        return self

    @model_validator(mode="after")
    def _batches_divide_among_the_workers(self) -> Self:
        for stage in self.stages:
            if stage.batch_size % self.cluster.num_workers:
                raise ValueError(
                    f"stage {stage.name!r}: batch_size {stage.batch_size} does not divide among "
                    f"{self.cluster.num_workers} workers"
                )
        return self
