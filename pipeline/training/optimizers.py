"""How the dense part is updated, and the learning rate over a stage, which the table's rows follow as well."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from schemas.optimization import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OptimizerConfig,
    Schedule,
    StepSchedule,
)


def build_optimizer(parameters: Iterable[Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Weight decay is of matrices only: w0, the biases and batch norm's scales are what carries the base rate.

    Layer by layer, the matrices have a learning rate of their own where `layer_decay` is not 1.
    """
    parameters = list(parameters)
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    rates = [config.learning_rate * config.layer_decay**height for height in reversed(range(len(matrices)))]
    layers = [{"params": matrices, "weight_decay": config.weight_decay}]
    if config.layer_decay != 1.0:
        layers = [
            {"params": [matrix], "weight_decay": config.weight_decay, "lr": rate}
            for matrix, rate in zip(matrices, rates, strict=True)
        ]
    groups = [*layers, {"params": others, "weight_decay": 0.0}]
    is_fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    match config.name:
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate)
        case "momentum":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
        case "adagrad":
            return torch.optim.Adagrad(groups, lr=config.learning_rate)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=config.learning_rate)
        case "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate, fused=is_fused)
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=is_fused)


def learning_rate_factor(schedule: Schedule, step: int, num_steps: int) -> float:
    """What both learning rates are multiplied by at `step` (from 0) of a stage's `num_steps`.

    The linear one would reach its final factor at step num_steps, just after the last, and stays there.
    """
    match schedule:
        case ConstantSchedule():
            return 1.0
        case StepSchedule(every_steps=every_steps, factor=factor):
            return float(factor ** (step // every_steps))
        case ExponentialSchedule(over_steps=over_steps, factor=factor):
            return float(factor ** (step / over_steps))
        case LinearSchedule(final_factor=final_factor):
            return 1.0 - (1.0 - final_factor) * min(step / num_steps, 1.0)
