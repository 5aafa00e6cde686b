"""An FM's step on CPUs, by the kernels of `pipeline.embedding.fused`."""

from importlib.util import find_spec
from math import isfinite, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from pipeline.data.batch import Batch
from pipeline.embedding.sharding import Placement, Prepared
from pipeline.embedding.table import check
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged, Losses
from schemas.stage import StageConfig

if TYPE_CHECKING:
    from pipeline.embedding.cells import Cells
    from pipeline.embedding.fused import Sums
    from pipeline.embedding.radix import Sorted
    from pipeline.embedding.simd import Rows


class Ready(NamedTuple):
    """A batch as the kernels take it."""

    batch: Batch
    cells: "Cells"
    ordered_N: "Sorted"
    prepared: Prepared | None = None
    """What the placement gets the batch's rows by; None: they are the table's own."""


class FusedStep:
    """Trains an FM alone, by row-wise Adagrad: reads the table's rows where they are, and updates them there."""

    def __init__(
        self, state: StageState, placement: Placement, stage: StageConfig, rank_batch_size: int, offset: float = 0.0
    ) -> None:
        """`placement` is that of `state.table`; `offset` is added to the logits in the loss: see build_step."""
        from pipeline.embedding import cells, fused, radix, simd

        self._state, self._placement, self._stage = state, placement, stage
        self._rank_batch_size, self._offset = rank_batch_size, offset
        self._cells, self._fused, self._radix, self._simd = cells, fused, radix, simd
        self._compiled_for: set[tuple[bool, bool]] = set()

    @property
    def num_ranks(self) -> int:
        return self._placement.num_ranks

    @property
    def settings(self) -> dict[str, str]:
        return {"kernel": "Numba's kernels", "precision": "float32", "placement": self._placement.in_words}

    def prepare(self, batch: Batch) -> Ready:
        num_ids = len(self._state.table.rows)
        check(batch.ids_N, num_ids)
        cells, ordered_N = self._cells.cells_of(batch, batch.ids_N), self._radix.sort(batch.ids_N.numpy(), num_ids)
        return self._compiled(Ready(batch, cells, ordered_N))

    def take(self, ready: Ready, factor: float) -> Losses:
        table, config, step = self._state.table, self._stage.embedding, self._state.progress.step
        rows = self._simd.rows_of(table.rows.numpy())
        terms, sums = self._score(rows, ready, table.scale)
        self._step_bias(torch.tensor(sums.dz if isfinite(sums.log_loss) else nan), ready.batch)
        if step >= config.frozen_steps:
            rate = config.learning_rate * factor
            decay = 1 - rate * config.weight_decay
            rule = self._fused.Adagrad.of(config, rate, table.scale, decay)
            self._fused.update(rows, table.accumulators.numpy(), ready.ordered_N, ready.cells, terms, rule)
            table.decay(decay)
        return _losses(ready.batch, sums)

    def finish(self) -> None:
        """Every step has said so itself."""

    def _compiled(self, ready: Ready) -> Ready:
        """The same, once the kernels that its step takes are compiled: here, where no seconds of steps run yet."""
        kind = (ready.cells.weights_N is None, ready.cells.offsets_C is None)
        if kind not in self._compiled_for:
            self._compile(ready)
            self._compiled_for.add(kind)
        return ready

    def _compile(self, ready: Ready) -> None:
        """By a step that updates no row."""
        table = self._state.table
        rows, none = self._simd.rows_of(table.rows.numpy()), ready.ordered_N[:0]
        terms, _ = self._score(rows, ready, table.scale)
        rule = self._fused.Adagrad.of(self._stage.embedding, 0.0, table.scale, 1.0)
        self._fused.update(rows, table.accumulators.numpy(), none, ready.cells, terms, rule)

    def _score(self, rows: "Rows", ready: Ready, scale: float) -> "tuple[Rows, Sums]":
        w0 = self._state.model.w0.item()
        model = self._fused.Model(w0, np.float32(scale), self._offset, self._rank_batch_size)
        return self._fused.score(rows, ready.cells, self._cells.labels_of(ready.batch), model)

    def _step_bias(self, gradient: torch.Tensor, batch: Batch) -> None:
        """And all that is dense. Raises Diverged, before anything is changed, for a gradient that is no number."""
        if not torch.isfinite(gradient):
            raise Diverged.at(self._state.progress.step, self._stage, batch.num_rows)
        self._state.model.w0.grad = gradient
        self._state.optimizer.step()
        self._state.optimizer.zero_grad()


class FusedStepOfRanks(FusedStep):
    """Trains an FM with the other ranks, or by any rule: rows are pulled, and their gradients pushed."""

    def prepare(self, batch: Batch) -> Ready:
        prepared = self._placement.prepare(batch)
        cells = self._cells.cells_of(batch, prepared.groups.index_N)
        return self._compiled(Ready(batch, cells, self._radix.by_place(prepared.groups), prepared))

    def take(self, ready: Ready, factor: float) -> Losses:
        assert ready.prepared is not None
        config, step = self._stage.embedding, self._state.progress.step
        rows_UD = self._placement.pull(ready.prepared)
        rows, grad_UD = self._simd.rows_of(rows_UD.numpy()), torch.empty_like(rows_UD)
        terms, sums = self._score(rows, ready, scale=1.0)
        gradient = torch.tensor(sums.dz if isfinite(sums.log_loss) else nan)
        if self.num_ranks > 1:
            dist.all_reduce(gradient)
        self._step_bias(gradient / self.num_ranks, ready.batch)
        if step >= config.frozen_steps:
            self._fused.differentiate(rows, ready.ordered_N, ready.cells, terms, self._simd.rows_of(grad_UD.numpy()))
            self._placement.push(ready.prepared, rows_UD, grad_UD, config, config.learning_rate * factor, step)
        return _losses(ready.batch, sums)

    def _compile(self, ready: Ready) -> None:
        assert ready.prepared is not None
        rows = self._simd.rows_of(
            np.zeros((len(ready.prepared.groups.unique_U), self._state.table.rows.shape[1]), np.float32)
        )
        terms, _ = self._score(rows, ready, scale=1.0)
        self._fused.differentiate(rows, ready.ordered_N[:0], ready.cells, terms, rows)


def fused_step(
    state: StageState, placement: Placement, stage: StageConfig, rank_batch_size: int, offset: float = 0.0
) -> FusedStep:
    is_in_place = placement.num_ranks == 1 and stage.embedding.name == "adagrad"
    return (FusedStep if is_in_place else FusedStepOfRanks)(state, placement, stage, rank_batch_size, offset)


def why_not_fused(state: StageState, stage: StageConfig, *, is_wanted: bool = True) -> str | None:
    """None where the kernels take the same steps as AutogradStep would, on this machine; else why an FM's are not.

    Nothing is to be said of a net, of which there are none.
    """
    if stage.model != "fm":
        return ""
    if state.target.objective != "binary":
        return "its kernels are of clicks alone"
    if not is_wanted:
        return "cluster.fused is false"
    if state.table.rows.device.type != "cpu":
        return "its rows are on a GPU"
    return None if find_spec("numba") else "Numba is not installed"


def _losses(batch: Batch, sums: "Sums") -> Losses:
    return Losses(batch.num_rows, *map(torch.tensor, (sums.log_loss, sums.weight, sums.clicks)))
