"""Which rows of the table a batch reads, and how its cells hold them: what a model is given.

The distinct rows [U, D] are a leaf of autograd, in whose grad each has the sum over its occurrences.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.data.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class IdGroups:
    """The positions of a batch's ids, grouped by id. Depends on no parameter: a loader's thread makes it ahead."""

    unique_U: Tensor
    """int64 distinct ids, ascending."""
    order_N: Tensor
    """Positions in ids_N: all of the smallest id, then all of the next; within an id ascending."""
    starts_U: Tensor
    """Where in order_N each distinct id's positions start, of order_N's dtype."""
    index_N: Tensor
    """Where in unique_U each id is."""
    counts_U: Tensor
    """int64 occurrences of each distinct id."""
    is_padded: bool = False
    """U = N, and what lies behind the distinct ids counts 0 occurrences: for a GPU, which need not tell how many."""

    def counting(self, counts_U: Tensor) -> "IdGroups":
        """The same with other counts."""
        return replace(self, counts_U=counts_U)

    def to(self, device: torch.device | str) -> "IdGroups":
        return IdGroups(
            self.unique_U.to(device),
            self.order_N.to(device),
            self.starts_U.to(device),
            self.index_N.to(device),
            self.counts_U.to(device),
            self.is_padded,
        )

    def sum_occurrences(self, values_NX: Tensor) -> Tensor:
        """[N, X] -> [U, X] sums over the positions of each distinct id; the same bits at every call."""
        return F.embedding_bag(self.order_N, values_NX, self.starts_U, mode="sum")


def group_ids(ids_N: Tensor) -> IdGroups:
    """By one stable sort. int32 sorts faster than int64."""
    sorted_N, order_N = ids_N.sort(stable=True)
    unique_U, index_sorted_N, counts_U = torch.unique_consecutive(sorted_N, return_inverse=True, return_counts=True)
    index_N = torch.empty_like(order_N).scatter_(0, order_N, index_sorted_N)
    return IdGroups(unique_U.long(), order_N, counts_U.cumsum(0) - counts_U, index_N, counts_U)


def group_ids_padded(ids_N: Tensor) -> IdGroups:
    """The same without a number that the host would wait for."""
    num_ids = len(ids_N)
    sorted_N, order_N = ids_N.sort(stable=True)
    is_first_N = torch.ones_like(sorted_N, dtype=torch.bool)
    torch.ne(sorted_N[1:], sorted_N[:-1], out=is_first_N[1:])
    index_sorted_N = is_first_N.cumsum(0) - 1
    # Every position writes; what is not the first of its id goes to a slot behind the end, which is cut off.
    slots_N = torch.where(is_first_N, index_sorted_N, num_ids)
    starts_U = torch.full((num_ids + 1,), num_ids, device=ids_N.device)
    starts_U.scatter_(0, slots_N, torch.arange(num_ids, device=ids_N.device))
    starts_U = starts_U[:num_ids]
    # Padding names the ids of the last positions, and so few of them often: sums into one row would queue for it.
    firsts_U = torch.where(starts_U < num_ids, starts_U, torch.arange(num_ids, device=ids_N.device))
    unique_U = sorted_N.index_select(0, firsts_U).long()
    counts_U = torch.diff(starts_U, append=starts_U.new_full((1,), num_ids))
    index_N = torch.empty_like(order_N).scatter_(0, order_N, index_sorted_N)
    return IdGroups(unique_U, order_N, starts_U, index_N, counts_U, is_padded=True)


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """The rows of a batch, as a model reads them."""

    rows_UD: Tensor
    """Rows [w | v], of which each id of the batch names one. In training a leaf, whose grad is what the table takes."""
    index_N: Tensor
    """The row of each active id."""
    batch: Batch
    groups: IdGroups | None = None
    """None: the rows are the whole table, which is read without a gradient."""

    def cells(self, dtype: torch.dtype | None = None, first: int = 0) -> Tensor:
        """[B, F, X] sum of x_i row_i[first:] over each cell's bag, 0 for an empty one; as `dtype` if one is given.

        It is cheaper to round distinct rows than cells, and their gradients travel in that dtype too.
        """
        if self.groups is None:  # not the rows' columns alone: of the whole table, they would be copied for each batch
            return self._in_rows(
                read_cells(self.rows_UD, self.index_N, self.batch)[:, first:].to(dtype or self.rows_UD.dtype)
            )
        cells_CX: Tensor = _Cells.apply(self.rows_UD, self, dtype or self.rows_UD.dtype, first)  # type: ignore[no-untyped-call]
        return self._in_rows(cells_CX)

    def _in_rows(self, cells_CX: Tensor) -> Tensor:
        """-> [B, F, X]"""
        return cells_CX.view(self.batch.num_rows, self.batch.num_fields, cells_CX.shape[1])

    @property
    def is_plain(self) -> bool:
        """Every cell holds exactly one id, of weight 1."""
        return self.batch.offsets_C is None and self.batch.weights_N is None


class _Cells(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows_UD: Tensor, lookup: Lookup, dtype: torch.dtype, first: int) -> Tensor:
        context.lookup, context.first = lookup, first
        return read_cells(rows_UD.detach()[:, first:].to(dtype), lookup.index_N, lookup.batch)

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad_CX: Tensor) -> tuple[Tensor | None, ...]:
        lookup, first = context.lookup, context.first
        grad_UX = sum_cells(grad_CX, lookup.groups, lookup.batch)
        if not first:
            return grad_UX.to(lookup.rows_UD.dtype), None, None, None
        grad_UD = torch.zeros_like(lookup.rows_UD)
        grad_UD[:, first:] = grad_UX
        return grad_UD, None, None, None


def read_cells(values_UX: Tensor, index_N: Tensor, batch: Batch) -> Tensor:
    """[U, X] -> [C, X]: the sum of x_i value_i over each cell's bag."""
    weights_N = None if batch.weights_N is None else batch.weights_N.to(values_UX.dtype)
    if batch.offsets_C is not None:
        offsets_C = batch.offsets_C.to(index_N.dtype)
        return F.embedding_bag(index_N, values_UX, offsets_C, mode="sum", per_sample_weights=weights_N)
    values_CX = F.embedding(index_N, values_UX)
    return values_CX if weights_N is None else values_CX.mul_(weights_N[:, None])


def sum_cells(grad_CX: Tensor, groups: IdGroups, batch: Batch) -> Tensor:
    """[C, X] -> [U, X], the transpose of read_cells: the sum of x_i times the cell over each id's occurrences.

    embedding_bag takes the cells for a table and an id's cells for a bag, at a fraction of the cost of index_add_ or
    coalesce.
    """
    cells_N = batch.cells_N()
    weights_N = None if batch.weights_N is None else batch.weights_N.to(grad_CX.dtype)
    return F.embedding_bag(
        groups.order_N if cells_N is None else cells_N.index_select(0, groups.order_N).to(groups.order_N.dtype),
        grad_CX,
        groups.starts_U,
        mode="sum",
        per_sample_weights=None if weights_N is None else weights_N.index_select(0, groups.order_N),
    )
