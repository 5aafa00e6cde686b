"""Factorization-machine supported neural network (Zhang, Du and Wang 2016)."""

import torch
from torch import Tensor, nn

from pipeline.embedding.lookup import Lookup
from pipeline.models.members import nets
from pipeline.models.mlp import layers_dtype
from schemas.stage import MLPConfig


class FNN(nn.Module):
    """logit = MLP(z), z = (w0, w_1, v_1, ..., w_F, v_F) of 1 + F (1 + K) floats   (Zhang et al. 2016, eq. 4 to 6)

    w0 and the rows start as a trained FM's, and are trained on. Their authors' code feeds w0 and w too; later copies of
    FNN feed v alone. An FM of C classes has a w0 of each, and z is C - 1 floats longer.
    """

    def __init__(
        self, num_fields: int, dimension: int, mlp: MLPConfig, seed: int, members: int = 1, outputs: int = 1
    ) -> None:
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(()) if outputs == 1 else torch.zeros(outputs))
        self.mlp = nets(outputs + num_fields * (1 + dimension), mlp, seed, members, outputs)

    @property
    def bias(self) -> nn.Parameter:
        """What is added to every logit: not w0, which is an input here. [C], or [M C]; C is 1 but of classes"""
        return self.mlp.bias

    @property
    def inputs_ahead(self) -> int:
        """Of the layers, before those of the fields: w0."""
        return self.w0.numel()

    def inputs(self, lookup: Lookup) -> Tensor:
        """z of each row. [B, 1 + F (1 + K)], or [B, C + F (1 + K)]"""
        rows_BFD = lookup.cells(layers_dtype(lookup.rows_UD))
        w0_BC = self.w0.to(rows_BFD.dtype).expand(len(rows_BFD), self.w0.numel())
        return torch.cat([w0_BC, rows_BFD.flatten(start_dim=1)], dim=1)

    def forward(self, lookup: Lookup) -> Tensor:
        """-> logits [B], or of each member [M, B]; of classes [B, C], [M, B, C]"""
        logits: Tensor = self.mlp(self.inputs(lookup))
        return logits
