"""What one step does to a stage's state: by autograd, or to an FM on a CPU by the fused kernels."""

from math import log, nan
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import Lookup
from pipeline.embedding.sharding import Placement, Prepared
from pipeline.models.deepfm import DeepFM
from pipeline.models.fnn import FNN
from pipeline.training.checkpoint import StageState
from pipeline.training.fused_step import fused_step, why_not_fused
from pipeline.training.losses import Diverged, Losses, loss_of
from pipeline.training.precision import Precision, matmuls_in, resolve
from pipeline.training.rank import Rank
from schemas.stage import StageConfig


class TrainingStep(Protocol):
    """Takes the steps of one stage. Its loss is the sum over rows divided by a rank's nominal batch size."""

    @property
    def num_ranks(self) -> int:
        """That take it together, each with a share of the batch."""

    @property
    def settings(self) -> dict[str, str]:
        """What it computes by, in words, for the record: kernel, precision and placement."""

    def prepare(self, batch: Batch) -> Any:
        """What take wants of a batch and a loader's thread can make ahead. Raises ValueError for ids without a row."""

    def take(self, prepared: Any, factor: float) -> Losses:
        """Update the state, with both learning rates times `factor`. Raises Diverged, on every rank in the same step.

        A CPU is then left as it was before the step; a GPU says so one step late, when it has the answer: to ask at
        once is to wait for the step.
        """

    def finish(self) -> None:
        """Raise Diverged if the last step did so."""


class AutogradStep:
    """Trains any model by autograd, wherever the table's rows live.

    With several ranks DDP averages the dense gradients and the placement those of the table: one step over the union
    of their batches. Each member of an ensemble has a loss of its own, and what they share learns by the mean of these.
    """

    def __init__(
        self,
        state: StageState,
        placement: Placement,
        stage: StageConfig,
        rank_batch_size: int,
        precision: Precision = "float32",
        offset: float = 0.0,
    ) -> None:
        """`placement` is that of `state.table`; `offset` is added to the logits in a loss of clicks: see build_step."""
        self._state, self._placement, self._stage = state, placement, stage
        self._net: nn.Module = DistributedDataParallel(state.model) if placement.num_ranks > 1 else state.model
        self._rank_batch_size, self._precision = rank_batch_size, precision
        self._loss = loss_of(state.target, offset)
        self._asked: tuple[Tensor, torch.cuda.Event, int, int] | None = None
        self.why = ""
        """Why no faster kernel is taken, where there is one."""

    @property
    def num_ranks(self) -> int:
        return self._placement.num_ranks

    @property
    def settings(self) -> dict[str, str]:
        kernel = f"torch, for {self.why}" if self.why else "torch"
        return {"kernel": kernel, "precision": self._precision, "placement": self._placement.in_words}

    def prepare(self, batch: Batch) -> Prepared:
        return self._placement.prepare(batch)

    def take(self, prepared: Prepared, factor: float) -> Losses:
        batch, groups = prepared.batch, prepared.groups
        rows_UD = self._placement.pull(prepared).requires_grad_()
        with matmuls_in(self._precision, rows_UD.device):
            logits = self._net(Lookup(rows_UD, groups.index_N, batch, groups)).float()
            weights_B = _weights(batch)
            loss_sum = self._loss.total(logits, batch.labels_B, weights_B)
            # An infinite loss can have finite gradients. As nan they reach every rank, and all refuse the step.
            is_finite = torch.isfinite(loss_sum.detach())
            (loss_sum * torch.where(is_finite, 1 / self._rank_batch_size, nan)).backward()
        self._require_finite(batch)
        assert rows_UD.grad is not None
        if self._stage.members > 1:
            self._mean_of_members(rows_UD.grad)
        self._state.optimizer.step()
        self._state.optimizer.zero_grad()
        with torch.no_grad():
            config, step = self._stage.embedding, self._state.progress.step
            rate = config.learning_rate * factor
            if step >= config.frozen_steps:
                self._placement.push(prepared, rows_UD.detach(), rows_UD.grad, config, rate, step)
        outcomes = self._loss.outcomes(batch.labels_B, weights_B)
        return Losses(batch.num_rows, loss_sum.detach() / self._stage.members, weights_B.sum(), outcomes)

    def finish(self) -> None:
        if self._asked is not None:
            answer, event, step, num_rows = self._asked
            self._asked = None
            event.synchronize()
            if not answer:
                raise Diverged.at(step, self._stage, num_rows)

    def _mean_of_members(self, rows_grad_UD: Tensor) -> None:
        """Divide the gradients of what the members share, of which backward has made sums over them.

        L2, clipping and accumulators that are taken over then mean to the rows what they mean with a lone net.
        """
        w0_grad = self._state.model.w0.grad
        assert w0_grad is not None
        for gradient in (rows_grad_UD, w0_grad):
            gradient.div_(self._stage.members)

    def _require_finite(self, batch: Batch) -> None:
        """By the gradient of the bias, in which the gradients of all logits are added up, meaned over the ranks."""
        gradient, step = self._state.model.bias.grad, self._state.progress.step
        assert gradient is not None
        if gradient.device.type == "cpu":
            if not torch.isfinite(gradient).all():
                raise Diverged.at(step, self._stage, batch.num_rows)
            return
        self.finish()
        answer = torch.empty((), dtype=torch.bool, pin_memory=True)
        answer.copy_(torch.isfinite(gradient).all(), non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._asked = (answer, event, step, batch.num_rows)


def build_step(rank: Rank, stage: StageConfig, state: StageState, placement: Placement) -> TrainingStep:
    """The fastest that this machine has for the stage.

    Where only a share w of the negatives is trained on, the odds of a click among the rows are 1 / w times the log's
    (He et al. 2014, section 6.3). The loss sees the logits plus log(1 / w), so that the model itself is the log's.
    """
    cluster, size, offset = rank.config.cluster, rank.batch_size(stage), -log(rank.negative_share)
    why_not = why_not_fused(state, stage, is_wanted=cluster.fused)
    if why_not is None:
        return fused_step(state, placement, stage, size, offset)
    if cluster.compile and isinstance(state.model, FNN | DeepFM):
        state.model.mlp.compile()
    precision = resolve(cluster.precision, state.table.rows.device)
    step = AutogradStep(state, placement, stage, size, precision, offset)
    step.why = why_not
    return step


def in_words(step: TrainingStep, stage: StageConfig) -> str:
    """What a stage is computed by, as it stands beside its rows a second."""
    settings = step.settings
    precision = "" if stage.model == "fm" else f" in {settings['precision']}"  # no layers, of which it is
    placement = f", {settings['placement']}" if step.num_ranks > 1 else ""
    return f"by {settings['kernel']}{precision}{placement}"


def require_finite(state: StageState, stage: StageConfig) -> None:
    """Raise Diverged for a state that is not to be saved: a GPU's answer comes after the step it condemns."""
    if not torch.isfinite(state.model.bias).all():
        raise Diverged(f"stage {stage.name!r}, before step {state.progress.step}: the model's bias is no number")


def _weights(batch: Batch) -> Tensor:
    return torch.ones_like(batch.labels_B) if batch.row_weights_B is None else batch.row_weights_B
