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
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="The output unit and the biases learn at learning_rate, each layer below at this times the next's.",
    )


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


class TransferConfig(BaseModel):
    """What a stage takes over of the one that it starts from; what it does not, starts fresh.

    The defaults are those of the study in tests/benchmarks/two_stage.md. DeepFM's FM part has w and w0 to itself and
    shares v with its layers: without w and w0 it inherits the interactions alone. FNN's authors take over all three.
    """

    model_config = FROZEN
    w: bool = False
    v: bool = True
    w0: bool = False
    scale: PositiveFloat | Literal["fresh"] = Field(
        default=1.0, description="Times w and v; `fresh`: what gives v the deviation of a fresh start."
    )
    accumulators: float = Field(
        default=0.0,
        ge=0,
        description="Times the rows' Adagrad accumulators, each a learning rate of its own: 0 starts new ones, 1 keeps "
        "them, so that what the earlier stage saw often moves little. Adam always starts new ones.",
    )


class RBMConfig(BaseModel):
    """Hidden layers pretrained one on another as restricted Boltzmann machines (Zhang et al. 2016)."""

    model_config = FROZEN
    rows: PositiveInt = Field(default=65_536, description="Training rows that they learn from.")
    epochs: PositiveInt = 1
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
    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu"] = "relu"
    initializer: Literal["uniform", "normal", "xavier", "kaiming"] = "xavier"
    init_scale: PositiveFloat = Field(default=0.05, description="Bound of `uniform`, standard deviation of `normal`.")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    batch_norm: bool = False
    rbm: RBMConfig | None = Field(default=None, description="Pretrain the hidden layers; none: start them at random.")

    @model_validator(mode="after")
    def _rbm_has_no_batch_norm(self) -> Self:
        if self.rbm and self.batch_norm:
            raise ValueError("rbm pretrains what batch_norm would normalise away: choose one of them")
        return self


class ControlConfig(BaseModel):
    """What a stage's control may have to itself, so that both can be tuned alike; none: as the stage."""

    model_config = FROZEN
    rows: RowOptimizerConfig | None = None
    optimizer: OptimizerConfig | None = None


class StageConfig(BaseModel):
    """One model of the plan, trained from scratch or from the rows of an earlier stage."""

    model_config = FROZEN
    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    model: ModelName
    init_from: str | None = Field(
        default=None,
        description="Earlier stage that it starts from, or registered model (models:/name@alias, a bundle's folder): "
        "the vocabulary is then grown from the model's.",
    )
    transfer: TransferConfig = Field(default=TransferConfig(), description="What of it; without init_from of no use.")
    control: ControlConfig = Field(default=ControlConfig(), description="How its control differs from it.")
    mlp: MLPConfig = MLPConfig()
    epochs: PositiveFloat = Field(default=1.0, description="Passes over the training rows; 0.25: the oldest quarter.")
    batch_size: PositiveInt = Field(default=4096, description="Rows of one step, over all workers together.")
    rows: RowOptimizerConfig = RowOptimizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Schedule = Field(default=LinearSchedule(type="linear"), description="Of both learning rates.")
    early_stop: EarlyStopConfig | None = Field(default=None, description="None: train all epochs.")
    control_of: str | None = Field(
        default=None,
        description="Stage whose lift is measured against this one. `control: true` adds such stages.",
    )

    @property
    def starts_from_model(self) -> bool:
        """Rather than from a stage, whose name has neither of these characters."""
        return self.init_from is not None and (":" in self.init_from or "/" in self.init_from)


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
            if stage.batch_size % self.cluster.num_workers:
                raise ValueError(
                    f"stage {stage.name!r}: batch_size {stage.batch_size} does not divide among "
                    f"{self.cluster.num_workers} workers"
                )
        return self


def control_of(stage: StageConfig, of_name: dict[str, StageConfig]) -> StageConfig | None:
    """The same net from random rows, over the rows that the stage and all those before it see; None for a first one.

    What a registered model saw before this run does not count.
    """
    if stage.init_from is None:
        return None
    epochs, earlier = stage.epochs, stage.init_from
    while earlier in of_name:
        epochs += of_name[earlier].epochs
        earlier = of_name[earlier].init_from or ""
    changes: dict[str, Any] = {
        "name": f"{stage.name}-control",
        "model": "dnn" if stage.model == "fnn" else stage.model,
        "init_from": None,
        "epochs": epochs,
        "rows": stage.control.rows or stage.rows.model_copy(update={"frozen_steps": 0}),
        "optimizer": stage.control.optimizer or stage.optimizer,
        "control_of": stage.name,
    }
    return stage.model_copy(update=changes)
