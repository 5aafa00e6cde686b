"""How the dense part is updated, and the learning rate over a stage, which the table's rows follow as well."""

from collections.abc import Iterable
from inspect import unwrap
from typing import TypeVar

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from schemas.optimization import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OptimizerConfig,
    Schedule,
    StepSchedule,
)

Kind = TypeVar("Kind", bound=Optimizer)


def build_optimizer(parameters: Iterable[Parameter], config: OptimizerConfig) -> Optimizer:
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
    optim = torch.optim
    match config.name:
        case "sgd":
            return _eager(optim.SGD)(groups, lr=config.learning_rate)
        case "momentum":
            return _eager(optim.SGD)(groups, lr=config.learning_rate, momentum=config.momentum)
        case "adagrad":
            return _eager(optim.Adagrad)(groups, lr=config.learning_rate)
        case "rmsprop":
            return _eager(optim.RMSprop)(groups, lr=config.learning_rate)
        case "adam":
            return _eager(optim.Adam)(groups, lr=config.learning_rate, fused=is_fused)
        case "adamw":
            return _eager(optim.AdamW)(groups, lr=config.learning_rate, fused=is_fused)


def _eager(kind: type[Kind]) -> type[Kind]:
    """The same, without what torch wraps around it to keep it out of what is compiled: nothing here compiles it.

    At the first call that would import the compiler, for two seconds, in each process that trains.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(unwrap(kind.step))})


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
