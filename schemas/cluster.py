"""ClusterConfig: what a run takes of a Ray cluster, and how long it waits for that."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt, Tag, model_validator

from schemas.errors import Refusal
from schemas.features import FROZEN


class WorkerRange(BaseModel):
    """Fewer workers after a loss, more when nodes come: numbers from `min` to `max` that divide every `batch_size`."""

    model_config = FROZEN
    min: PositiveInt
    max: PositiveInt

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


def _number_or_range(value: object) -> str:
    return "range" if isinstance(value, dict | WorkerRange) else "number"


class ClusterConfig(BaseModel):
    """What the run takes of the Ray cluster."""

    model_config = FROZEN
    address: str | None = Field(
        default=None, description="Ray address; none: that of `RAY_ADDRESS`, else a local cluster."
    )
    num_workers: Annotated[
        Annotated[NonNegativeInt, Tag("number")] | Annotated[WorkerRange, Tag("range")], Discriminator(_number_or_range)
    ] = Field(
        default=1,
        description="Training ranks of the Ray Train job. 0: one, in the command's own process and on its CPU, where "
        "its threads count and encode the log, too: no Ray is started or asked; a stage that was cut short then begins "
        "again. "
        "{min: 1, max: 4}: as many as there is room for; after a node is lost the run goes on with fewer, and with "
        "more when nodes come, from the last checkpoint. Other numbers of ranks draw other batches: only a plain "
        "number gives the same bits each time.",
    )
    wait_seconds: float = Field(
        default=0.0,
        ge=0,
        description="How long a command waits for a cluster that has no room for it yet, before it is refused: for "
        "nodes that an autoscaler is to bring, or for what other jobs hold.",
    )
    starved_seconds: PositiveFloat = Field(
        default=180.0,
        description="How long the workers may find no room, or no CPU to read their rows, once training has begun, "
        "before the run fails. The cause is told after half a minute; where `num_workers` is a range, fewer go on "
        "after a minute without rows, or half of this. All of it takes five times as long where another job holds the "
        "CPU, or the reader itself, which may only be slow.",
    )
    cpus_per_worker: PositiveFloat = Field(
        default=1.0, description="CPUs that Ray sets aside for each worker, and its threads."
    )
    use_gpu: bool = Field(default=False, description="One GPU a worker, over nccl; else CPU, over gloo.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Format of the layers' matrix products while training; auto: bfloat16 where the hardware "
        "multiplies it. Parameters, the table and all scoring are float32.",
    )
    fused: bool = Field(
        default=True,
        description="Where Numba is installed, train FM on CPUs by kernels that it compiles, which also group ids and "
        "update the rows that several workers share.",
    )
    compile: bool = Field(default=False, description="torch.compile the layers: a minute at the start, needs g++.")

    @property
    def least_workers(self) -> int:
        return self.num_workers.min if isinstance(self.num_workers, WorkerRange) else self.num_workers

    @property
    def most_workers(self) -> int:
        return self.num_workers.max if isinstance(self.num_workers, WorkerRange) else self.num_workers

    @property
    def fewest_ranks(self) -> int:
        return max(1, self.least_workers)

    @model_validator(mode="after")
    def _a_gpu_wants_a_worker(self) -> Self:
        if self.use_gpu and not self.num_workers:
            raise Refusal(
                found="use_gpu, and no workers: num_workers is 0",
                expected="a worker for each GPU",
                where="num_workers",
                remedy="set num_workers to 1 or more, or leave use_gpu away",
            )
        return self
