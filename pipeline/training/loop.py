"""The training loop: gather the batch's rows, logits, loss, backward, update the dense part and just those rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.training.checkpoint import StageState
from pipeline.training.optimizers import learning_rate_factor
from schemas.config import StageConfig

EVALUATION_ROWS = 8192  # of a batch that is only scored; bits may depend on it, so all who score use the same

GatherRows = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Diverged(ArithmeticError):
    """The loss is no longer a number; the state is as before the step."""


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


def alone(ids_U: Tensor, grads_UD: Tensor) -> tuple[Tensor, Tensor]:
    """The exchange of row gradients where there is one rank."""
    return ids_U, grads_UD


def train(
    state: StageState,
    net: nn.Module,
    batches: Iterable[Batch],
    stage: StageConfig,
    num_steps: int,
    rank_batch_size: int,
    gather_rows: GatherRows = alone,
    dropout_seed: Sequence[int] = (0,),
) -> Iterator[Step]:
    """Train on `batches` and yield after each step, so that the caller may log, save or stop there.

    `net` is `state.model` or its DistributedDataParallel. The loss is the sum over rows divided by the nominal
    `rank_batch_size`, not by the rows present: the last batch of an epoch is smaller, and so is its step. With several
    ranks DDP averages the dense gradients and `gather_rows` those of the table, which makes one step over the union.
    Dropout draws from (*dropout_seed, step), so that a resumed run drops what an uninterrupted one would.
    """
    net.train()
    base_rates = [float(group["lr"]) for group in state.optimizer.param_groups]
    last = time.perf_counter()
    for batch in batches:
        waited = time.perf_counter() - last
        factor = learning_rate_factor(stage.schedule, state.progress.step, num_steps)
        for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * factor

        if stage.mlp.dropout:
            torch.manual_seed(int(np.random.SeedSequence([*dropout_seed, state.progress.step]).generate_state(1)[0]))
        rows_BFD = state.table.lookup(batch)
        losses_B = F.binary_cross_entropy_with_logits(net(rows_BFD), batch.labels_B, reduction="none")
        weights_B = torch.ones_like(losses_B) if batch.row_weights_B is None else batch.row_weights_B
        loss_sum = (losses_B * weights_B).sum()
        if not torch.isfinite(loss_sum):
            raise Diverged(
                f"stage {stage.name!r}, step {state.progress.step}: the loss of this batch is {loss_sum.item()}; "
                f"a lower learning rate than rows.learning_rate={stage.rows.learning_rate} and "
                f"optimizer.learning_rate={stage.optimizer.learning_rate} is the usual remedy"
            )
        (loss_sum / rank_batch_size).backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
        _update_rows(state, batch, rows_BFD, stage, factor, gather_rows)

        state.progress.step += 1
        state.progress.rows_seen += batch.num_rows
        seconds = time.perf_counter() - last
        state.progress.seconds += seconds
        clicks = (batch.labels_B * weights_B).sum()
        yield Step(batch.num_rows, loss_sum.detach(), weights_B.sum(), clicks, factor, seconds, waited)
        last = time.perf_counter()
    for group, rate in zip(state.optimizer.param_groups, base_rates, strict=True):
        group["lr"] = rate


def _update_rows(
    state: StageState, batch: Batch, rows_BFD: Tensor, stage: StageConfig, factor: float, gather_rows: GatherRows
) -> None:
    assert rows_BFD.grad is not None
    with torch.no_grad():
        plan = state.table.plan(batch.ids_N)
        grads_UD = state.table.segment_sum(rows_BFD.grad, batch, plan)
        ids_U, grads_UD = gather_rows(plan.unique_U, grads_UD)
        state.table.update(ids_U, grads_UD, stage.rows, stage.rows.learning_rate * factor)


@torch.no_grad()
def predict(state: StageState, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch with its logits."""
    state.model.eval()
    for batch in batches:
        yield batch, state.model(state.table.lookup(batch))
