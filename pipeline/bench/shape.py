"""What a benchmark trains, and what is refused before anything is allocated."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, get_args

from pipeline.synthetic.presets import PresetName
from schemas.config import ClusterConfig, TableConfig, TrainConfig
from schemas.errors import Refusal
from schemas.stage import ModelName

FLOAT_BYTES = 4
MOST_IDS = 2**31  # ids are int32
LEAST_ROWS = 1000  # of a job: among so many there are clicks


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A model over rows of `num_fields` fields, and who trains it."""

    model: str
    num_fields: int
    num_ids: int
    batch_size: int
    """Rows of one step, over all ranks together."""
    dimension: int
    hidden: tuple[int, ...]
    """Units of each hidden layer. FM has none and leaves them aside."""
    members: int = 1
    """Nets over the same rows, where it has layers."""
    num_ranks: int = 1
    threads: int = 1
    """Threads of each rank."""
    placement: str = "replicated"
    precision: str = "auto"
    fused: bool = True

    @property
    def rank_batch_size(self) -> int:
        return self.batch_size // self.num_ranks

    @property
    def table_bytes(self) -> int:
        """Rows [w | v] and their accumulators."""
        return self.num_ids * (1 + self.dimension + 1) * FLOAT_BYTES

    def check(self) -> None:
        """Raises Refusal for a shape that cannot be trained."""
        _require_known("--model", self.model, ModelName)
        _require_known("--placement", self.placement, TableConfig.model_fields["placement"].annotation)
        _require_known("--precision", self.precision, ClusterConfig.model_fields["precision"].annotation)
        check_ids(self.num_fields, self.num_ids)
        require_positive("--dimension", self.dimension)
        require_positive("--members", self.members)
        require_positive("--ranks", self.num_ranks)
        require_positive("--batch-size", self.batch_size)
        require_positive("--threads", self.threads)
        for num_units in self.hidden:
            require_positive("--hidden", num_units)
        if self.model == "fm" and self.members > 1:
            raise _refusal("--members", str(self.members), "1: fm has no layers to have several of", "leave it away")
        if self.batch_size % self.num_ranks:
            expected = f"a multiple of the {self.num_ranks} ranks, which each take an equal share"
            remedy = "change it, or give --batch-per-rank, so that each rank takes as many rows"
            raise _refusal("--batch-size", f"{self.batch_size:,}", expected, remedy)

    def config(self) -> TrainConfig:
        """One stage from random rows, at a learning rate that stays."""
        stage: dict[str, Any] = {
            "name": self.model,
            "model": self.model,
            "batch_size": self.batch_size,
            "mlp": {"hidden": self.hidden},
            "members": self.members,
            "schedule": {"type": "constant"},
        }
        fields = [{"name": f"field_{f}", "kind": "categorical"} for f in range(self.num_fields)]
        return TrainConfig.model_validate(
            {
                "data": {"logs_uri": "made in memory", "features": {"label": "click", "fields": fields}},
                "table": {"dimension": self.dimension, "placement": self.placement},
                "stages": [stage],
                "cluster": {
                    "num_workers": self.num_ranks,
                    "cpus_per_worker": self.threads,
                    "precision": self.precision,
                    "fused": self.fused,
                },
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A log and who trains what on it; the newest day is held out."""

    model: Shape
    num_rows: int
    num_days: int
    num_workers: int
    preset: PresetName | None
    """Rows as `nightjar generate` writes them, by the spec of its log; none: fields and ids of the model's shape."""
    seed: int = 7

    def config(self, folder: Path, spec: str | dict[str, object]) -> dict[str, Any]:
        """Of `nightjar train`, as JSON."""
        model = self.model
        stage = {
            "name": model.model,
            "model": model.model,
            "batch_size": model.batch_size,
            "epochs": 1,
            "embedding": {"learning_rate": 0.1, "l2": 1e-5},
            "optimizer": {"name": "adam", "learning_rate": 0.002},
            "mlp": {"hidden": model.hidden},
        }
        return {
            "work_uri": str(folder / "work"),
            "seed": self.seed,
            "data": {"logs_uri": str(folder / "logs"), "features": spec, "split": {"by": "date"}},
            "table": {"dimension": model.dimension, "init_deviation": 0.05},
            "stages": [stage],
            "cluster": {
                "num_workers": self.num_workers,
                "cpus_per_worker": model.threads,
                "precision": model.precision,
                "fused": model.fused,
            },
        }

    def check(self) -> None:
        """Raises Refusal for what is no log, or cannot be trained."""
        self.model.check()
        require_positive("--days", self.num_days)
        if self.num_days < 2:
            raise _refusal("--days", "1", "2 or more: the newest is held out", "give more days")
        least = self.num_days * max(LEAST_ROWS, 2 * self.model.batch_size // (self.num_days - 1))
        if self.num_rows < least:
            expected = f"{least:,} or more: two steps, and clicks on each day"
            raise _refusal("--rows", f"{self.num_rows:,}", expected, "give more rows, or a smaller --batch-size")
        if self.num_workers < 0:
            raise _refusal("--workers", str(self.num_workers), "0 or more", "0 is the command's own process")


def check_ids(num_fields: int, num_ids: int) -> None:
    """Raises Refusal where there is not an id for every field, or more than int32 can tell apart."""
    require_positive("--fields", num_fields)
    if not num_fields <= num_ids <= MOST_IDS:
        expected = f"{num_fields:,} (one id a field) to {MOST_IDS:,} ids"
        raise _refusal("--vocab", f"{num_ids:,}", expected, "change --vocab or --fields")


def check_rows(num_rows: int, shape: Shape) -> None:
    """Raises Refusal for rows too few for a job whose rate can be told."""
    least = max(LEAST_ROWS, 2 * shape.batch_size)
    if num_rows < least:
        expected = f"{least:,} or more: two steps, and clicks among the rows"
        raise _refusal("--rows", f"{num_rows:,}", expected, "give more rows, or a smaller --batch-size")


def parse_hidden(text: str) -> tuple[int, ...]:
    """`400,400` -> (400, 400). Raises Refusal for what is no list of whole numbers."""
    try:
        return tuple(int(units) for units in text.split(",")) if text else ()
    except ValueError as error:
        raise _refusal("--hidden", repr(text), "units of each layer, as 400,400", "separate them by commas") from error


def require_positive(option: str, value: float) -> None:
    """Raises Refusal for a number below 1, or for a duration that is not finite and above 0."""
    if isinstance(value, int) and value < 1:
        raise _refusal(option, str(value), "1 or more", "give a larger one")
    if not 0 < value < inf:
        raise _refusal(option, f"{value:g}", "a finite number above 0", "give another one")


def _require_known(option: str, value: str, literal: Any) -> None:
    if value not in get_args(literal):
        raise _refusal(option, value, f"one of {', '.join(get_args(literal))}", "choose one of them")


def _refusal(where: str, found: str, expected: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)
