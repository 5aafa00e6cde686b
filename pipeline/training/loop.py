"""The training loop: gather the batch's rows, logits, loss, backward, update the dense part and just those rows."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models.lookup import Lookup
from pipeline.training.checkpoint import StageState
from pipeline.training.optimizers import learning_rate_factor
from pipeline.training.placement import Placement, Prepared, RowSharded
from pipeline.training.precision import Precision, matmuls_in
from schemas.config import StageConfig

EVALUATION_ROWS = 8192  # of a batch that is only scored; bits may depend on it, so all who score use the same


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of one rank did; losses are of the rows as the step found them."""

    num_rows: int
    log_loss_sum: Tensor
    weight_sum: Tensor
    click_sum: Tensor
    learning_rate_factor: float
    seconds: float
    wait_seconds: float


def train(
    state: StageState,
    net: nn.Module,
    placement: Placement,
    prepared: Iterable[Prepared],
    stage: StageConfig,
    num_steps: int,
    rank_batch_size: int,
    precision: Precision = "float32",
    dropout_seed: Sequence[int] = (0,),
) -> Iterator[Step]:
    """Train on `prepared` batches and yield after each step, so that the caller may log, save or stop there.

    `net` is `state.model` or its DistributedDataParallel, `placement` that of `state.table`, which prepared the
    batches. The loss is the sum over rows divided by the nominal `rank_batch_size`, not by the rows present: the last
    batch of an epoch is smaller, and so is its step. With several ranks DDP averages the dense gradients and the
    placement those of the table, which makes one step over the union. Dropout draws from (*dropout_seed, step), so that
    a resumed run drops what an uninterrupted one would.

    Raises Diverged, on every rank in the same step, and on a CPU before the step has changed anything.
    """
    net.train()
    base_rates = [float(group["lr"]) for group in state.optimizer.param_groups]
    finite = _FiniteCheck(stage)
    last = time.perf_counter()
    for item in prepared:
        waited = time.perf_counter() - last
        factor = learning_rate_factor(stage.schedule, state.progress.step, num_steps)
        for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * factor
        if stage.mlp.dropout:
            torch.manual_seed(int(np.random.SeedSequence([*dropout_seed, state.progress.step]).generate_state(1)[0]))

        batch = item.batch
        rows_UD = placement.pull(item).requires_grad_()
        with matmuls_in(precision, rows_UD.device):
            logits_B = net(Lookup(rows_UD, item.plan.index_N, batch, item.plan)).float()
            weights_B = torch.ones_like(logits_B) if batch.row_weights_B is None else batch.row_weights_B
            loss_sum = F.binary_cross_entropy_with_logits(logits_B, batch.labels_B, weights_B, reduction="sum")
            # An infinite loss can have finite gradients. As nan they reach every rank, and all refuse the step.
            is_finite = torch.isfinite(loss_sum.detach())
            (loss_sum * torch.where(is_finite, 1 / rank_batch_size, nan)).backward()
        finite.check(state, batch)
        assert rows_UD.grad is not None
        state.optimizer.step()
        state.optimizer.zero_grad()
        with torch.no_grad():
            rate = stage.rows.learning_rate * factor
            placement.push(item, rows_UD.detach(), rows_UD.grad, stage.rows, rate, state.progress.step)

        state.progress.step += 1
        state.progress.rows_seen += batch.num_rows * placement.num_ranks
        seconds = time.perf_counter() - last
        state.progress.seconds += seconds
        clicks = (batch.labels_B * weights_B).sum()
        yield Step(batch.num_rows, loss_sum.detach(), weights_B.sum(), clicks, factor, seconds, waited)
        last = time.perf_counter()
    finite.answer()
    for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
        group["lr"] = rate


class _FiniteCheck:
    """Whether every rank's loss still is a number, which the gradient of the bias tells after the ranks' mean.

    A GPU is asked one step late, when it has the answer: to ask at once is to wait for the step.
    """

    def __init__(self, stage: StageConfig) -> None:
        self._stage = stage
        self._asked: tuple[Tensor, torch.cuda.Event, int, int] | None = None

    def check(self, state: StageState, batch: Batch) -> None:
        gradient = state.model.bias.grad
        assert gradient is not None
        if gradient.device.type == "cpu":
            self._require(bool(torch.isfinite(gradient)), state.progress.step, batch.num_rows)
            return
        self.answer()
        answer = torch.empty((), dtype=torch.bool, pin_memory=True)
        answer.copy_(torch.isfinite(gradient).all(), non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._asked = (answer, event, state.progress.step, batch.num_rows)

    def answer(self) -> None:
        """Wait for what was asked last."""
        if self._asked is not None:
            answer, event, step, num_rows = self._asked
            event.synchronize()
            self._require(bool(answer), step, num_rows)

    def _require(self, is_finite: bool, step: int, num_rows: int) -> None:
        if not is_finite:
            stage = self._stage
            raise Diverged(
                f"stage {stage.name!r}, step {step}: the loss of this batch of {num_rows:,} rows a rank is no number; "
                f"a lower learning rate than rows.learning_rate={stage.rows.learning_rate} and "
                f"optimizer.learning_rate={stage.optimizer.learning_rate} is the usual remedy"
            )


def require_finite(state: StageState, stage: StageConfig) -> None:
    """Raise Diverged for a state that is not to be saved: a GPU's answer comes after the step it condemns."""
    if not torch.isfinite(state.model.bias).all():
        raise Diverged(f"stage {stage.name!r}, before step {state.progress.step}: the model's bias is no number")


@torch.no_grad()
def predict(state: StageState, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch with its logits, by a table that holds all ids."""
    state.table.settle()
    state.model.eval()
    for batch in batches:
        yield batch, state.model(state.table.read(batch))


@torch.no_grad()
def predict_together(
    state: StageState, placement: RowSharded, batches: Iterable[Batch], num_fields: int
) -> Iterator[tuple[Batch, Tensor]]:
    """The same over ranks that hold a shard each: to the same bits, and to the end on all of them.

    A rank that has no batches left goes on answering the others, with batches of no rows.
    """
    state.table.settle()
    state.model.eval()
    for batch in placement.until_all_end(batches, num_fields):
        prepared = placement.prepare(batch)
        yield batch, state.model(Lookup(placement.pull(prepared, exactly=True), prepared.plan.index_N, prepared.batch))
