"""Restricted Boltzmann machines, and the pretraining of an MLP's hidden layers with them (Zhang et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from pipeline.models.mlp import MLP

Visible = Literal["gaussian", "binary"]
FIRST_DEVIATION = 0.01  # of the weights (Hinton 2010, section 8)
LEAST_MEAN = 1e-3  # of a binary unit, whose largest is 1 less this: the logits of 0 and 1 are infinite
LEAST_SPREAD = 1e-6  # deviation over largest value; what varies less is rounding, which standardising would blow up


@dataclass(frozen=True, slots=True)
class LayerFit:
    """Mean squared error of the reconstruction of a layer's inputs, before and after its RBM learnt.

    Before, it is about their variance, as each is reconstructed as its mean: 1 for standardised units that vary.
    """

    error_before: float
    error_after: float


class RBM:
    """p(v, h) = exp(-E(v, h)) / Z of binary hidden units h and visible units v   (Hinton 2010, sections 2 and 13.2)

    E(v, h) = -c.h - h.Wv - b.v if v is binary; with |v - b|^2 / 2 in place of -b.v if it is gaussian, of variance 1.
    W [H, V] is laid out like nn.Linear's; the visible bias b and the hidden bias c start at 0. First weights and
    samples are drawn from `seed` alone.
    """

    def __init__(
        self, num_visible: int, num_hidden: int, visible: Visible, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.visible = visible
        self._generator = Generator(device).manual_seed(seed)
        shape = (num_hidden, num_visible)
        self.weight_HV = torch.randn(shape, generator=self._generator, device=device) * FIRST_DEVIATION
        self.visible_bias_V = torch.zeros(num_visible, device=device)
        self.hidden_bias_H = torch.zeros(num_hidden, device=device)
        self._parameters = (self.weight_HV, self.visible_bias_V, self.hidden_bias_H)
        self._steps = [torch.zeros_like(parameter) for parameter in self._parameters]

    @torch.no_grad()
    def hidden_probabilities(self, v_BV: Tensor) -> Tensor:
        """p(h = 1 | v).  [B, V] -> [B, H]"""
        return linear(v_BV, self.weight_HV, self.hidden_bias_H).sigmoid()

    @torch.no_grad()
    def visible_means(self, h_BH: Tensor) -> Tensor:
        """Means of p(v | h).  [B, H] -> [B, V]"""
        v_BV = linear(h_BH, self.weight_HV.T, self.visible_bias_V)
        return v_BV.sigmoid() if self.visible == "binary" else v_BV

    def reconstruct(self, v_BV: Tensor) -> Tensor:
        """Mean field, up and down again.  [B, V] -> [B, V]"""
        return self.visible_means(self.hidden_probabilities(v_BV))

    @torch.no_grad()
    def learn(self, v_BV: Tensor, learning_rate: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        """A step on a batch [B, V] of contrastive divergence after one Gibbs step, CD-1 (Hinton 2002).

        W's step = momentum (its last) + learning_rate (<h v>_data - <h v>_reconstruction - weight_decay W), with < > a
        mean over the rows; b and c step alike, without decay.
        """
        h_BH = self.hidden_probabilities(v_BV)
        # Only a bit may pass from each hidden unit; elsewhere probabilities are less noisy (Hinton 2010, 3.1 to 3.3).
        sampled_BH = (torch.rand(h_BH.shape, generator=self._generator, device=h_BH.device) < h_BH).to(h_BH.dtype)
        again_BV = self.visible_means(sampled_BH)
        again_BH = self.hidden_probabilities(again_BV)
        w_HV = (h_BH.T @ v_BV - again_BH.T @ again_BV) / len(v_BV) - weight_decay * self.weight_HV
        ascents = w_HV, (v_BV - again_BV).mean(dim=0), (h_BH - again_BH).mean(dim=0)
        for parameter, step, ascent in zip(self._parameters, self._steps, ascents, strict=True):
            parameter += step.mul_(momentum).add_(ascent, alpha=learning_rate)


@torch.no_grad()
def pretrain(mlp: MLP, batches: Sequence[Tensor], *, epochs: int, learning_rate: float, seed: int) -> list[LayerFit]:
    """Replace weight and bias of each hidden layer, from the bottom, by those of an RBM that learnt the layer's inputs.

    `batches` are inputs of the MLP, [B, num_inputs] each; every epoch goes through them in their order. The RBM of the
    i-th hidden layer is seeded with seed + i. The output unit and the modes of the modules stay as they are.

    Raises ValueError: if there is batch_norm, changing nothing; if an RBM diverges, changing the layers below it.
    """
    if any(isinstance(layer, nn.BatchNorm1d) for layer in mlp.layers):
        raise ValueError("batch_norm would normalise away what RBMs learn: pretrain an MLP without it")
    *hidden, _ = mlp.layers
    inputs, fits = list(batches), list[LayerFit]()
    visible: Visible = "gaussian"
    for layer in hidden:
        if isinstance(layer, nn.Linear):
            fits.append(_fit(layer, inputs, visible, epochs, learning_rate, seed + len(fits)))
        if not isinstance(layer, nn.Dropout):
            inputs = [layer(x) for x in inputs]
        if isinstance(layer, nn.Sigmoid):
            visible = "binary"
    return fits


def _fit(
    layer: nn.Linear, inputs: list[Tensor], visible: Visible, epochs: int, learning_rate: float, seed: int
) -> LayerFit:
    rbm = RBM(layer.in_features, layer.out_features, visible, seed, layer.weight.device)
    x = torch.cat(inputs)
    mean_V, deviation_V = x.mean(dim=0), x.std(dim=0, correction=0)
    deviation_V = deviation_V.where(deviation_V > LEAST_SPREAD * x.abs().amax(dim=0), 1.0)
    if visible == "binary":
        # Learning starts from the mean, as it does with standardised units, whose mean is 0 (Hinton 2010, section 8.1).
        rbm.visible_bias_V.copy_(mean_V.logit(eps=LEAST_MEAN))
        mean_V, deviation_V = torch.zeros_like(mean_V), torch.ones_like(deviation_V)
    v = [(x - mean_V) / deviation_V for x in inputs]
    error_before = _error(rbm, v)
    for _ in range(epochs):
        for v_BV in v:
            rbm.learn(v_BV, learning_rate)
    error_after = _error(rbm, v)
    if not isfinite(error_after):
        raise ValueError(f"the RBM of {layer} diverged at a learning rate of {learning_rate}: lower it")
    # W (x - mean) / deviation + c = (W / deviation) x + (c - (W / deviation) mean)
    layer.weight.copy_(rbm.weight_HV / deviation_V)
    layer.bias.copy_(rbm.hidden_bias_H - layer.weight @ mean_V)
    return LayerFit(error_before, error_after)


def _error(rbm: RBM, v: list[Tensor]) -> float:
    squares = sum((rbm.reconstruct(v_BV) - v_BV).square().sum().item() for v_BV in v)
    return squares / sum(v_BV.numel() for v_BV in v)
