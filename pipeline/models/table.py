"""The embedding table, and the update that costs what a batch holds, never what the vocabulary holds.

A step is lookup -> forward and backward of a model -> plan -> segment_sum -> update. Several ranks exchange distinct
ids and their gradients, and `merge` them, between segment_sum and update: an update that every rank then does alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.batch import Batch
from schemas.config import RowOptimizerConfig, TableConfig

CHUNK_ROWS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The positions of a batch's ids, grouped by id. Depends on no parameter: a loader's thread may make it ahead."""

    unique_U: Tensor
    """The distinct ids, ascending, of the dtype they came in."""
    order_N: Tensor
    """int64 positions in ids_N: all of the smallest id, then all of the next; within an id ascending."""
    starts_U: Tensor
    """int64 where in order_N each distinct id's positions start."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows [w | v] of all n ids, which lookup reads and update changes in place. No autograd, no DDP sees them."""

    rows: Tensor
    """float32 [n, D]"""
    accumulators: Tensor
    """float32 [n], row-wise Adagrad's sum over the steps of the mean squared gradient of a row."""

    @classmethod
    def create(cls, num_ids: int, config: TableConfig, seed: int) -> "Table":
        """w = 0, v ~ Normal(0, init_deviation^2). Row i depends on seed and i alone: a longer table starts alike."""
        rows = torch.zeros(num_ids, 1 + config.dimension)
        generator = np.random.default_rng(seed)  # unlike torch's, it draws one number after another, at any length
        for chunk in torch.split(rows, CHUNK_ROWS):
            normal = generator.standard_normal((len(chunk), config.dimension), dtype=np.float32)
            chunk[:, 1:] = torch.from_numpy(normal).mul_(config.init_deviation)
        return cls(rows, torch.zeros(num_ids))

    def to(self, device: torch.device | str) -> "Table":
        return Table(self.rows.to(device), self.accumulators.to(device))

    def lookup(self, batch: Batch) -> Tensor:
        """[B, F, D] sum of x_i row_i over each cell's bag, 0 for an empty one: a leaf, whose grad segment_sum takes.

        Raises ValueError for an id that the table has no row for.
        """
        self._check(batch.ids_N)
        if batch.offsets_C is None:
            rows_ND = F.embedding(batch.ids_N, self.rows)
            rows_CD = rows_ND if batch.weights_N is None else rows_ND.mul_(batch.weights_N[:, None])
        else:
            rows_CD = F.embedding_bag(
                batch.ids_N, self.rows, batch.offsets_C, mode="sum", per_sample_weights=batch.weights_N
            )
        return rows_CD.view(batch.num_rows, batch.num_fields, self.rows.shape[1]).requires_grad_()

    @staticmethod
    def plan(ids_N: Tensor) -> Plan:
        """By one stable sort, so that sums over it are the same bits at every call. int32 sorts faster than int64."""
        sorted_N, order_N = ids_N.sort(stable=True)
        unique_U, counts_U = torch.unique_consecutive(sorted_N, return_counts=True)
        return Plan(unique_U, order_N, counts_U.cumsum(0) - counts_U)

    @staticmethod
    def segment_sum(grad_BFD: Tensor, batch: Batch, plan: Plan) -> Tensor:
        """[U, D] gradient of each distinct id's row: the sum over its occurrences of x_i times the cell's gradient.

        `plan` is that of batch.ids_N. embedding_bag takes the cells' gradients for a table and an id's cells for a bag,
        at a fraction of the cost of index_add_ or coalesce.
        """
        cells_N, weights_N = batch.cells_N(), batch.weights_N
        return F.embedding_bag(
            plan.order_N if cells_N is None else cells_N.index_select(0, plan.order_N),
            grad_BFD.flatten(0, 1),
            plan.starts_U,
            mode="sum",
            per_sample_weights=None if weights_N is None else weights_N.index_select(0, plan.order_N),
        )

    def update(self, unique_U: Tensor, grad_UD: Tensor, config: RowOptimizerConfig, learning_rate: float) -> None:
        """One step of row-wise Adagrad on the rows of the distinct `unique_U`, in place; no other row is touched.

        g = grad + l2 row;  acc += mean over the D floats of g^2;  row -= learning_rate g / (sqrt(acc) + epsilon)

        `learning_rate` is the schedule's for this step; config.learning_rate is not looked at.
        """
        # index_select and index_copy_ are several times as fast as the same with brackets.
        unique_U = unique_U.long()
        rows_UD = self.rows.index_select(0, unique_U)
        if config.l2:
            grad_UD = grad_UD.add(rows_UD, alpha=config.l2)
        accumulators_U = self.accumulators.index_select(0, unique_U).add_(grad_UD.square().mean(dim=1))
        step_U = accumulators_U.sqrt().add_(config.epsilon).reciprocal_().mul_(-learning_rate)
        self.rows.index_copy_(0, unique_U, rows_UD.addcmul_(grad_UD, step_U[:, None]))
        self.accumulators.index_copy_(0, unique_U, accumulators_U)

    def _check(self, ids_N: Tensor) -> None:
        # 0.02 ms of a step's 12; without it an id too large is a bare IndexError on a CPU and kills a GPU's context.
        if not len(ids_N):
            return
        smallest, largest = (int(extreme) for extreme in ids_N.aminmax())
        if smallest < 0 or largest >= len(self.rows):
            raise ValueError(
                f"the batch holds ids {smallest} to {largest}, the table has rows for 0 to {len(self.rows) - 1} "
                f"(n = {len(self.rows)}): encode with the vocabulary that the table was made for"
            )


def merge(ids_of_ranks: Sequence[Tensor], grads_of_ranks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Each rank's distinct ids and their gradients [U_rank, D] -> those of the union batch, summed in order of rank.

    Every rank that calls it with the same lists gets the same bits. The mean over ranks is the caller's to take.
    """
    plan = Table.plan(torch.cat(list(ids_of_ranks)))
    grads = torch.cat(list(grads_of_ranks))
    return plan.unique_U, F.embedding_bag(plan.order_N, grads, plan.starts_U, mode="sum")
