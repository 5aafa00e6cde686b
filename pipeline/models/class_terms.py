"""What a factorization machine says of each of several classes."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


class ClassTerms(nn.Module):
    """term_c = <a_c, sum over f of [w_f | v_f]> + <b_c, sum over f < g of v_f * v_g>, with * by element

    The second sum is the bi-interaction of He and Chua (2017, eq. 4), of K floats. Classes share the table's rows,
    which are no longer than those of clicks: id i has for class c the weight <a_c, [w_i | v_i]>, and a pair of ids the
    interaction <b_c, v_i * v_j>. With a_c = (1, 0, ..., 0) and b_c = (1, ..., 1) that is Rendle's FM.

    The vectors [a_c | b_c] are the rows of `weight` [C, 1 + 2 K], drawn from Normal(0, 1) by `seed` alone.
    """

    def __init__(self, dimension: int, num_classes: int, seed: int) -> None:
        super().__init__()
        generator = Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.empty(num_classes, 1 + 2 * dimension).normal_(generator=generator))

    def forward(self, rows_BFD: Tensor) -> Tensor:
        """[B, F, 1 + K] -> [B, C]"""
        sums_BD, v_BFK = rows_BFD.sum(dim=1), rows_BFD[:, :, 1:]
        interactions_BK = 0.5 * (sums_BD[:, 1:].square() - v_BFK.square().sum(dim=1))
        # As float32 whatever the layers compute in, as an FM of clicks is.
        with torch.autocast(rows_BFD.device.type, enabled=False):
            return F.linear(torch.cat([sums_BD, interactions_BK], dim=1), self.weight)
