"""The hidden layers over the rows."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from schemas.stage import MLPConfig

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
}
FollowedBy = Literal["sigmoid", "tanh", "relu", "leaky_relu", "linear"]


class MLP(nn.Module):
    """x -> [Linear -> BatchNorm -> activation -> Dropout] for each hidden layer -> Linear to one logit.

    Weights are drawn from `seed` alone and biases start at 0. Dropout draws from torch's global generator.
    """

    def __init__(self, num_inputs: int, config: MLPConfig, seed: int) -> None:
        super().__init__()
        generator = Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for num_units in config.hidden:
            layers.append(_linear(num_inputs, num_units, config, config.activation, generator))
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(num_units))
            layers.append(ACTIVATIONS[config.activation]())
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
            num_inputs = num_units
        layers.append(_linear(num_inputs, 1, config, "linear", generator))
        self.layers = nn.Sequential(*layers)

    @property
    def bias(self) -> nn.Parameter:
        """The output unit's, which is added to every logit. [1]"""
        output = self.layers[-1]
        assert isinstance(output, nn.Linear)
        return output.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, num_inputs] -> logits [B]"""
        logits_B1: Tensor = self.layers(x)
        return logits_B1.squeeze(dim=1)


def layers_dtype(rows: Tensor) -> torch.dtype:
    """What the layers compute in, which autocast may have chosen."""
    device = rows.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype


def _linear(
    num_inputs: int, num_units: int, config: MLPConfig, followed_by: FollowedBy, generator: Generator
) -> nn.Linear:
    # By way of "meta", since Linear's own initializer would draw from the global generator.
    linear = nn.Linear(num_inputs, num_units, device="meta").to_empty(device="cpu")
    match config.initializer:
        case "uniform":
            nn.init.uniform_(linear.weight, -config.init_scale, config.init_scale, generator)
        case "normal":
            nn.init.normal_(linear.weight, 0.0, config.init_scale, generator)
        case "xavier":
            nn.init.xavier_uniform_(linear.weight, nn.init.calculate_gain(followed_by), generator)
        case "kaiming":
            nn.init.kaiming_uniform_(linear.weight, a=0.01, nonlinearity=followed_by, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear
