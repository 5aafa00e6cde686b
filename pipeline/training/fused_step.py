"""An FM's step on a CPU, by the kernels of `pipeline.embedding.fused`."""

from importlib.util import find_spec
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pipeline.data.batch import Batch
from pipeline.embedding.sharding import Alone, Placement
from pipeline.embedding.table import check
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged, Losses
from schemas.stage import StageConfig

if TYPE_CHECKING:
    from pipeline.embedding.cells import Cells
    from pipeline.embedding.radix import Sorted


class Ready(NamedTuple):
    """A batch as the kernels take it."""

    batch: Batch
    cells: "Cells"
    ordered_N: "Sorted"


class FusedStep:
    """Trains an FM alone, by row-wise Adagrad; no step has a tensor as large as its batch."""

    num_ranks = 1

    def __init__(self, state: StageState, stage: StageConfig, rank_batch_size: int, offset: float = 0.0) -> None:
        """`offset` is added to the logits in the loss: see build_step."""
        from pipeline.embedding import cells, fused, radix, simd

        self._state, self._stage, self._rank_batch_size, self._offset = state, stage, rank_batch_size, offset
        self._cells, self._fused, self._sort = cells, fused, radix.sort
        self._rows = simd.rows_of(state.table.rows.numpy())
        self._accumulators = state.table.accumulators.numpy()

    @property
    def settings(self) -> dict[str, str]:
        return {"kernel": "fused", "precision": "float32", "placement": Alone.__name__}

    def prepare(self, batch: Batch) -> Ready:
        check(batch.ids_N, len(self._rows))
        cells = self._cells.cells_of(batch, batch.ids_N)
        return Ready(batch, cells, self._sort(cells.index_N, len(self._rows)))

    def take(self, ready: Ready, factor: float) -> Losses:
        batch, config, table = ready.batch, self._stage.embedding, self._state.table
        w0, step = self._state.model.w0, self._state.progress.step
        model = self._fused.Model(w0.item(), np.float32(table.scale), self._offset, self._rank_batch_size)
        terms, sums = self._fused.score(self._rows, ready.cells, self._cells.labels_of(batch), model)
        if not isfinite(sums.log_loss):
            raise Diverged.at(step, self._stage, batch.num_rows)
        w0.grad = torch.tensor(sums.dz)
        self._state.optimizer.step()
        self._state.optimizer.zero_grad()
        if step >= config.frozen_steps:
            rate = config.learning_rate * factor
            decay = 1 - rate * config.weight_decay
            rule = self._fused.Adagrad.of(config, rate, table.scale, decay)
            self._fused.update(self._rows, self._accumulators, ready.ordered_N, ready.cells, terms, rule)
            table.decay(decay)
        return Losses(batch.num_rows, *map(torch.tensor, (sums.log_loss, sums.weight, sums.clicks)))

    def finish(self) -> None:
        """Every step has said so itself."""


def is_fusible(state: StageState, placement: Placement, stage: StageConfig) -> bool:
    """Whether FusedStep takes the same steps as AutogradStep would, on this machine."""
    return (
        stage.model == "fm"
        and placement.num_ranks == 1
        and state.table.rows.device.type == "cpu"
        and stage.embedding.name == "adagrad"
        and find_spec("numba") is not None
    )
