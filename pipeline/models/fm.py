"""Factorization machine (Rendle 2010)."""

import torch
from torch import Tensor, nn


class FM(nn.Module):
    """logit = w0 + sum over f of w_f + sum over f < g of <v_f, v_g>   (Rendle 2010, eq. 1)

    A multi-valued or real-valued field's w_f and v_f are the sums of x_i w_i and x_i v_i over its ids. This is eq. 1
    without the interactions of two ids within one field.
    """

    def __init__(self) -> None:
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(()))

    @property
    def bias(self) -> nn.Parameter:
        """What is added to every logit; of one element."""
        return self.w0

    def forward(self, rows_BFD: Tensor) -> Tensor:
        """[B, F, D] rows [w | v] -> logits [B]"""
        # The backward of one split is one cat; that of two slices fills and adds two tensors, half as long again.
        w_BF1, v_BFK = torch.split(rows_BFD, [1, rows_BFD.shape[2] - 1], dim=2)
        return self.w0 + w_BF1.sum(dim=(1, 2)) + pairwise_interactions(v_BFK)


def pairwise_interactions(v_BFK: Tensor) -> Tensor:
    """Sum over f < g of <v_f, v_g>, in O(F K) (Rendle 2010, Lemma 3.1).  [B, F, K] -> [B]"""
    square_of_sum_BK = v_BFK.sum(dim=1).square()
    sum_of_squares_BK = v_BFK.square().sum(dim=1)
    return 0.5 * (square_of_sum_BK - sum_of_squares_BK).sum(dim=1)
