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
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
FollowedBy = Literal["sigmoid", "tanh", "relu", "leaky_relu", "linear"]


class MLP(nn.Module):
    """x -> [Linear -> BatchNorm -> activation -> Dropout] for each hidden layer -> Linear to the outputs.

    Weights are drawn from `seed` alone and biases start at 0. Dropout draws from torch's global generator.
    """

    def __init__(self, num_inputs: int, config: MLPConfig, seed: int, outputs: int = 1) -> None:
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
        layers.append(_linear(num_inputs, outputs, config, "linear", generator))
        self.layers = nn.Sequential(*layers)

    @property
    def bias(self) -> nn.Parameter:
        """Those of the output units, each added to every logit of its own. [outputs]"""
        output = self.layers[-1]
        assert isinstance(output, nn.Linear)
        return output.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, num_inputs] -> logits [B], or [B, C] of several outputs"""
        logits_BC: Tensor = _by_onednn(self.layers, x) if _is_for_onednn(x) else self.layers(x)
        return logits_BC.squeeze(dim=1)


def layers_dtype(rows: Tensor) -> torch.dtype:
    """What the layers compute in, which autocast may have chosen."""
    device = rows.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype


def _is_for_onednn(x: Tensor) -> bool:
    is_float32 = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return HAS_ONEDNN and is_float32 and x.device.type == "cpu" and not torch.is_grad_enabled()


def _by_onednn(layers: nn.Sequential, x: Tensor) -> Tensor:
    """The same in a third of the time, where no gradient is asked for. [B, num_inputs] -> [B, outputs]

    oneDNN multiplies float32 on AMD twice as fast as MKL, and adds the bias and applies the activation as it writes.
    It is asked for by its own operator, as torch's inductor does: `set_float32_matmul_precision`, which chooses it too,
    holds for all threads, and lets a processor round to bfloat16.
    """
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        if isinstance(layer, nn.Linear):
            name, scalars = _as_onednn_has_it(waiting[0] if waiting else None)
            x = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, name, scalars, "")
            waiting = waiting[name != "none" :]
        else:
            x = layer(x)
    return x


def _as_onednn_has_it(activation: nn.Module | None) -> tuple[str, list[float]]:
    match activation:
        case nn.ReLU():
            return "relu", []
        case nn.LeakyReLU():
            return "leaky_relu", [activation.negative_slope]
        case nn.Tanh():
            return "tanh", []
        case nn.Sigmoid():
            return "sigmoid", []
    return "none", []


def _linear(
    num_inputs: int, num_units: int, config: MLPConfig, followed_by: FollowedBy, generator: Generator
) -> nn.Linear:
    # By way of "meta", since Linear's own initializer would draw from the global generator. Not by `to_empty`, which
    # imports torch's shape arithmetic, and a computer algebra system with it: a quarter of a second of each process.
    linear = nn.Linear(num_inputs, num_units, device="meta")
    linear.weight = nn.Parameter(torch.empty(num_units, num_inputs))
    linear.bias = nn.Parameter(torch.empty(num_units))
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
