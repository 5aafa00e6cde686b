"""An ensemble over one table: several nets that share the rows they read, and no more."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.models.mlp import MLP
from schemas.stage import MLPConfig


class Members(nn.Module):
    """x -> a logit of each of M MLPs, which share nothing but x.

    A layer of all members is one batched product. Its matrices are [M, units, inputs]; what has one dimension in an MLP
    lies flat, [M units], since an optimizer decays what has more. The first member is the MLP of that seed, and each of
    the others that of a seed drawn from it.
    """

    def __init__(self, num_inputs: int, config: MLPConfig, seed: int, count: int) -> None:
        super().__init__()
        seeds = [seed, *(int(np.random.SeedSequence([seed, m]).generate_state(1)[0]) for m in range(1, count))]
        of_members = [MLP(num_inputs, config, own).layers for own in seeds]
        self.layers = nn.Sequential(*map(_as_one, zip(*of_members, strict=True)))
        self.count = count

    @property
    def bias(self) -> nn.Parameter:
        """Those of the output units, each added to every logit of its member. [M]"""
        output = self.layers[-1]
        assert isinstance(output, _Linears)
        return output.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, num_inputs] -> logits [M, B]"""
        logits_MB1: Tensor = self.layers(x.expand(self.count, *x.shape))
        return logits_MB1.squeeze(dim=2)


def nets(num_inputs: int, config: MLPConfig, seed: int, members: int) -> MLP | Members:
    """The layers of a model: an MLP as it is, or several members."""
    return MLP(num_inputs, config, seed) if members == 1 else Members(num_inputs, config, seed, members)


def served(logits: Tensor) -> Tensor:
    """What a model serves: the log-odds of the mean of its members' probabilities; of a lone one, its logits.

    [M, B] or [B] -> [B]
    """
    if logits.ndim == 1:
        return logits
    return nn.functional.logsigmoid(logits).logsumexp(dim=0) - nn.functional.logsigmoid(-logits).logsumexp(dim=0)


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
