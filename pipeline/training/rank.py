"""A process among those that train together, and its share of the work."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.distributed as dist

from pipeline.data.store import Store
from pipeline.embedding.table import WHOLE, Shard
from pipeline.training.prior import Prior
from schemas.config import TrainConfig
from schemas.stage import StageConfig

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Rank:
    """A process among its group, and what it trains from: the rows of a store, the stages published under `run_uri`."""

    config: TrainConfig
    store: Store
    run_uri: str
    index: int = 0
    count: int = 1
    device: torch.device = CPU
    group: dist.ProcessGroup | None = None
    """All ranks again, on gloo, for the threads that prepare batches; None where there is one rank."""
    looks_uri: str = ""
    """Where the logits of the validation rows are kept as of the best look at them; empty: nowhere."""

    @property
    def num_rows(self) -> int:
        """The training rows of its share of an epoch."""
        return self.store.num_rows("train") // self.count

    @property
    def num_fields(self) -> int:
        return len(self.config.data.features.fields)

    @property
    def shard(self) -> Shard:
        """The ids whose rows of the table are here."""
        is_sharded = self.config.table.placement == "row_sharded" and self.count > 1
        return Shard(self.index, self.count) if is_sharded else WHOLE

    @property
    def negative_share(self) -> float:
        """How many of the log's negatives it trains from: of those that are in the store, a stage may read a share."""
        return self.config.data.negative_share * self.store.negative_share

    @property
    def base_rate(self) -> float:
        """The share of clicks among the log's rows."""
        clicks = self.store.num_positives("train")
        return clicks / (clicks + (self.store.num_rows("train") - clicks) / self.negative_share)

    @property
    def prior(self) -> Prior:
        """What a stage on these rows starts from."""
        is_of_clicks = self.store.target.objective == "binary"
        return Prior.of_clicks(self.base_rate) if is_of_clicks else Prior.of_labels(self.store)

    def on_rows_of(self, stage: StageConfig) -> Self:
        """The rank as the stage trains it: on its own days alone, and on its share of their negatives.

        A control's must be known by then (`affordable.on_its_days`), lest it be trained on all there are.
        """
        assert stage.days != "affordable", f"{stage.name}: its days are not known"
        return replace(self, store=self.store.of_span(self.config.span_of(stage), stage.negative_share))

    def batch_size(self, stage: StageConfig) -> int:
        return stage.batch_size // self.count

    def steps_per_epoch(self, stage: StageConfig) -> int:
        return len(batch_starts(self.num_rows, self.batch_size(stage)))

    def num_steps(self, stage: StageConfig) -> int:
        return max(1, round(stage.epochs * self.steps_per_epoch(stage)))


def batch_starts(num_rows: int, batch_size: int) -> range:
    """Where the batches start. A last one of a single row is left out: batch norm has no variance of it."""
    is_lone = batch_size > 1 and num_rows % batch_size == 1
    return range(0, num_rows - is_lone, batch_size)
