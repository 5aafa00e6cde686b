"""Factorization machine (Rendle 2010)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pipeline.embedding.lookup import Lookup
from pipeline.models.class_terms import ClassTerms


class FM(nn.Module):
    """logit = w0 + sum over f of w_f + sum over f < g of <v_f, v_g>   (Rendle 2010, eq. 1)

    A multi-valued or real-valued field's w_f and v_f are the sums of x_i w_i and x_i v_i over its ids. This is eq. 1
    without the interactions of two ids within one field.

    Of several outputs each is a class: logit_c = w0_c + its ClassTerms, whose vectors are drawn from `seed`.
    """

    def __init__(self, dimension: int = 0, seed: int = 0, outputs: int = 1) -> None:
        """One output needs neither `dimension` nor `seed`."""
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(()) if outputs == 1 else torch.zeros(outputs))
        self.classes = None if outputs == 1 else ClassTerms(dimension, outputs, seed)

    @property
    def bias(self) -> nn.Parameter:
        """What is added to every logit; of one element, or [C]."""
        return self.w0

    @property
    def inputs_ahead(self) -> int:
        """Of the layers beside it, before those of the fields."""
        return 0

    def forward(self, lookup: Lookup) -> Tensor:
        """-> logits [B], or [B, C]"""
        if self.classes is None and lookup.groups is not None and lookup.is_plain:
            terms_B: Tensor = _Terms.apply(lookup.rows_UD, lookup)  # type: ignore[no-untyped-call]
            return self.w0 + terms_B
        return self.of_cells(lookup.cells())

    def of_cells(self, rows_BFD: Tensor) -> Tensor:
        """[B, F, 1 + K] -> logits [B], or [B, C]"""
        if self.classes is not None:
            terms_BC: Tensor = self.classes(rows_BFD)
            return self.w0 + terms_BC
        return self.w0 + rows_BFD[:, :, 0].sum(dim=1) + pairwise_interactions(rows_BFD[:, :, 1:])


def pairwise_interactions(v_BFK: Tensor) -> Tensor:
    """Sum over f < g of <v_f, v_g>, in O(F K) (Rendle 2010, Lemma 3.1).  [B, F, K] -> [B]"""
    square_of_sum_BK = v_BFK.sum(dim=1).square()
    sum_of_squares_BK = v_BFK.square().sum(dim=1)
    return 0.5 * (square_of_sum_BK - sum_of_squares_BK).sum(dim=1)


class _Terms(torch.autograd.Function):
    """The same without w0, in closed form, where every cell holds one id: no tensor has as many rows as cells.

    With s = sum over f of v_f and dz the gradient of a logit, row [w | v] gets the sum over its occurrences of
    dz [1 | s - v] (Rendle 2010, eq. 4): that of dz [1 | s], less the sum of dz times [0 | v].
    """

    @staticmethod
    def forward(context: Any, rows_UD: Tensor, lookup: Lookup) -> Tensor:
        rows_UD = rows_UD.detach()
        index_N, num_fields = lookup.index_N, lookup.batch.num_fields
        starts_B = torch.arange(0, len(index_N), num_fields, dtype=index_N.dtype, device=index_N.device)
        squares_U1 = rows_UD[:, 1:].square().sum(dim=1, keepdim=True)
        sums_BX = F.embedding_bag(index_N, torch.cat([rows_UD, squares_U1], dim=1), starts_B, mode="sum")
        context.lookup, context.rows_UD, context.sums_BX = lookup, rows_UD, sums_BX
        s_BK, sum_of_squares_B = sums_BX[:, 1:-1], sums_BX[:, -1]
        return sums_BX[:, 0] + 0.5 * (s_BK.square().sum(dim=1) - sum_of_squares_B)

    @staticmethod
    @once_differentiable
    def backward(context: Any, dz_B: Tensor) -> tuple[Tensor, None]:
        groups, rows_UD = context.lookup.groups, context.rows_UD
        terms_BD = context.sums_BX[:, :-1] * dz_B[:, None]
        terms_BD[:, 0] = dz_B
        examples_N = groups.order_N // context.lookup.batch.num_fields
        grad_UD = F.embedding_bag(examples_N, terms_BD, groups.starts_U, mode="sum")
        grad_UD[:, 1:].addcmul_(rows_UD[:, 1:], grad_UD[:, :1], value=-1.0)
        return grad_UD, None
