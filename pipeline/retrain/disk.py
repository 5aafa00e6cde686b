"""What a retrain writes into the work folder, and whether its disk has room for that."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.registry import server
from pipeline.retrain.dataset import Inputs
from pipeline.runtime import files
from pipeline.training import memory
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.stage import StageConfig

ID_BYTES = 4
IDS_OF_LIST = 4  # that a multi-valued field is taken to hold a row
CHECKPOINTS = 2  # of a stage that Ray Train keeps at once, while it writes the newer one
LABEL_BYTES = 1
LENGTH_BYTES = 2  # of a cell of a multi-valued field
WEIGHT_BYTES = 4  # of a cell whose ids weigh something else than 1
LOGIT_BYTES = 4  # of a held-out row, by each stage


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """In bytes, at most: rows before they are packed, tables as they are when all stages have ended."""

    num_rows: int
    rows_bytes: int
    num_ids: int | None
    """None: nobody has counted the values yet, and tables count as nothing."""
    num_tables: int
    tables_bytes: int

    @property
    def num_bytes(self) -> int:
        return self.rows_bytes + self.tables_bytes

    def __str__(self) -> str:
        tables = (
            f"{self.num_tables} tables of ids that are not counted yet"
            if self.num_ids is None
            else f"{in_mb(self.tables_bytes)} of {self.num_tables} tables of {self.num_ids:,} ids"
        )
        return f"{in_mb(self.num_bytes)}: {in_mb(self.rows_bytes)} of {self.num_rows:,} rows, {tables}"


def need(
    config: TrainConfig, inputs: Inputs, stages: Sequence[StageConfig], num_ids: int | None, *, refresh: bool = False
) -> DiskNeed:
    """Of a training of these stages on the rows; with `refresh`, of that which follows, in a run of its own."""
    num_rows = inputs.manifest.num_rows
    num_tables = _num_tables(config, len(stages), len(_origins(stages))) if stages else 0
    if refresh:
        num_tables += _num_tables(config, num_stages=1, num_origins=1)
    table = memory.need(
        num_ids or 0,
        config.table.dimension,
        num_ranks=1,
        is_sharded=False,
        has_moments=any(stage.embedding.name == "adam" for stage in stages),
    )
    of_table = table.rows_bytes + table.moments_bytes + table.accumulators_bytes
    rows_bytes = num_rows * (bytes_of_row(config.data.features) + LOGIT_BYTES * len(stages))
    return DiskNeed(num_rows, rows_bytes, num_ids, num_tables, num_tables * of_table)


def bytes_of_row(spec: FeatureSpec) -> int:
    """Of the encoded store, before it is packed."""
    multi = sum(field.kind == "multi_valued" for field in spec.fields)
    weighted = sum(
        1
        for field in spec.fields
        if field.encoder.type == "scale" or (field.kind == "multi_valued" and field.combine == "mean")
    )
    num_ids = len(spec.fields) - multi + IDS_OF_LIST * multi
    return num_ids * ID_BYTES + multi * LENGTH_BYTES + weighted * WEIGHT_BYTES + LABEL_BYTES


def check(config: TrainConfig, need: DiskNeed) -> None:
    """Refuse what the disk of the work folder has no room for; object stores have no end."""
    free = free_bytes(config)
    if free is not None and free < need.num_bytes:
        raise Refusal(
            found=f"{in_mb(free)} free",
            expected=f"room for {need}",
            where=f"the disk of work_uri, {config.work_uri}",
            remedy="make room, for example by `nightjar prune`, or take a work_uri on a larger disk",
        )


def free_bytes(config: TrainConfig) -> int | None:
    """On the disk of the work folder; None where that is no local one."""
    return files.free_bytes(config.work_uri)


def _origins(stages: Sequence[StageConfig]) -> set[str]:
    """Registered models that are laid out for the ranks."""
    return {stage.init_from for stage in stages if stage.init_from and stage.starts_from_model}


def _num_tables(config: TrainConfig, num_stages: int, num_origins: int) -> int:
    """Published stages, what they start from, checkpoints, and the model that is registered, where it is kept here."""
    checkpoints = CHECKPOINTS if config.cluster.num_workers else 0
    is_here = not server.resolve_uri(config.mlflow, config.work_uri).startswith("http")
    return num_stages + num_origins + checkpoints + is_here


def in_mb(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:,.1f} GB"
