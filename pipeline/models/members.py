"""An ensemble over one table: several nets that share the rows they read, and no more."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.models.mlp import MLP
from schemas.stage import MLPConfig


class Members(nn.Module):
    """x -> the logits of each of M MLPs, which share nothing but x.

    A layer of all members is one batched product. Its matrices are [M, units, inputs]; what has one dimension in an MLP
    lies flat, [M units], since an optimizer decays what has more. The first member is the MLP of that seed, and each of
    the others that of a seed drawn from it.
    """

    def __init__(self, num_inputs: int, config: MLPConfig, seed: int, count: int, outputs: int = 1) -> None:
        super().__init__()
        seeds = [seed, *(int(np.random.SeedSequence([seed, m]).generate_state(1)[0]) for m in range(1, count))]
        of_members = [MLP(num_inputs, config, own, outputs).layers for own in seeds]
        self.layers = nn.Sequential(*map(_as_one, zip(*of_members, strict=True)))
        self.count = count

    @property
    def bias(self) -> nn.Parameter:
        """Those of the output units, member by member, each added to every logit of its own. [M outputs]"""
        output = self.layers[-1]
        assert isinstance(output, _Linears)
        return output.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, num_inputs] -> logits [M, B], or [M, B, C] of several outputs"""
        logits_MBC: Tensor = self.layers(x.expand(self.count, *x.shape))
        return logits_MBC.squeeze(dim=2)


def nets(num_inputs: int, config: MLPConfig, seed: int, members: int, outputs: int) -> MLP | Members:
    """The layers of a model: an MLP as it is, or several members."""
    if members == 1:
        return MLP(num_inputs, config, seed, outputs)
    return Members(num_inputs, config, seed, members, outputs)


class _Linears(nn.Module):
    """The same layer of each member.  [M, B, inputs] -> [M, B, units]"""

    def __init__(self, of_members: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([linear.weight.detach() for linear in of_members]))
        self.bias = nn.Parameter(torch.cat([linear.bias.detach() for linear in of_members]))

    def forward(self, x_MBV: Tensor) -> Tensor:
        return torch.baddbmm(self.bias.view(len(self.weight), 1, -1), x_MBV, self.weight.mT)


class _BatchNorms(nn.BatchNorm1d):
    """Batch norm of each unit of each member."""

    def forward(self, x: Tensor) -> Tensor:
        """[M, B, units] -> [M, B, units]"""
        normal_BX = super().forward(x.transpose(0, 1).flatten(start_dim=1))
        normal: Tensor = normal_BX.unflatten(1, (len(x), -1)).transpose(0, 1)
        return normal


def _as_one(of_members: Sequence[nn.Module]) -> nn.Module:
    """Activations and dropout are alike in all members, and hold nothing."""
    first = of_members[0]
    if isinstance(first, nn.Linear):
        return _Linears([linear for linear in of_members if isinstance(linear, nn.Linear)])
    if isinstance(first, nn.BatchNorm1d):
        return _BatchNorms(len(of_members) * first.num_features)
    return first
