import math

import pytest
import torch
from lookups import lookup_of
from torch import nn

from pipeline.models import build
from pipeline.training.optimizers import build_optimizer, learning_rate_factor
from schemas.config import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    MLPConfig,
    OptimizerConfig,
    Schedule,
    StepSchedule,
)

NAMES = ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"]


def walk(config: OptimizerConfig, start: nn.Parameter, gradients: list[float]) -> list[float]:
    """Where a parameter, all its elements alike, stands after each of the gradients."""
    optimizer = build_optimizer([start], config)
    places = []
    for gradient in gradients:
        start.grad = torch.full_like(start, gradient)
        optimizer.step()
        places.append(start.flatten()[0].item())
    return places


def scalar(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))


def matrix(value: float) -> nn.Parameter:
    return nn.Parameter(torch.full((1, 1), value))


def config_of(name: str, **settings: float) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"name": name, "learning_rate": 0.1, **settings})


@pytest.mark.parametrize(
    ("name", "after_two_gradients_of_2"),
    [
        ("sgd", [0.8, 0.6]),
        ("momentum", [0.8, 0.8 - 0.1 * (0.5 * 2 + 2)]),
        ("adagrad", [0.9, 0.9 - 0.1 / math.sqrt(2)]),
        ("rmsprop", [1 - 0.1 / math.sqrt(0.01), 1 - 0.1 / math.sqrt(0.01) - 0.1 / math.sqrt(0.0199)]),
        ("adam", [0.9, 0.8]),
        ("adamw", [0.9, 0.8]),
    ],
)
def test_two_steps_of_each_optimizer_by_hand(name: str, after_two_gradients_of_2: list[float]):
    places = walk(config_of(name, momentum=0.5), scalar(1.0), [2, 2])
    assert places == pytest.approx(after_two_gradients_of_2, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_spares_w0_and_biases(name: str):
    config = config_of(name, weight_decay=0.5)
    assert walk(config, scalar(1.0), [0]) == [1]
    assert walk(config, nn.Parameter(torch.ones(3)), [0]) == [1]
    assert walk(config, matrix(1.0), [0])[0] < 1


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("sgd", 1 - 0.1 * (2 + 0.5)),  # in the gradient
        ("adam", 0.9),  # in the gradient, whose size Adam's first step does not feel
        ("adamw", 1 - 0.1 * 0.5 - 0.1),  # decoupled
    ],
)
def test_weight_decay_by_hand(name: str, place: float):
    assert walk(config_of(name, weight_decay=0.5), matrix(1.0), [2]) == pytest.approx([place])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model_name", ["fm", "deepfm"])
def test_every_parameter_of_a_model_is_trained(name: str, model_name: str):
    model = build(model_name, num_fields=3, dimension=2, mlp=MLPConfig(hidden=(4,), activation="tanh"), seed=0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = build_optimizer(model.parameters(), config_of(name))
    model(lookup_of(torch.full((2, 3, 3), 0.5))).sum().backward()
    optimizer.step()
    assert all(not torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_optimizer_goes_on_bit_for_bit(name: str):
    gradients = [0.3, -0.2, 0.7, 0.1]
    uninterrupted = walk(config_of(name), matrix(1.0), gradients)

    first = matrix(1.0)
    optimizer = build_optimizer([first], config_of(name))
    for gradient in gradients[:2]:
        first.grad = torch.full_like(first, gradient)
        optimizer.step()
    second = nn.Parameter(first.detach().clone())
    restored = build_optimizer([second], config_of(name))
    restored.load_state_dict(optimizer.state_dict())
    for gradient in gradients[2:]:
        second.grad = torch.full_like(second, gradient)
        restored.step()
    assert second.item() == uninterrupted[-1]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (ConstantSchedule(), [1, 1, 1, 1, 1, 1, 1, 1]),
        (StepSchedule(type="step", every_steps=3, factor=0.5), [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        (ExponentialSchedule(type="exponential", over_steps=2, factor=0.25), [2.0**-i for i in range(8)]),
        (LinearSchedule(type="linear"), [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        (LinearSchedule(type="linear", final_factor=0.5), [1 - i / 16 for i in range(8)]),
        (LinearSchedule(type="linear", final_factor=1), [1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_schedules_over_eight_steps(schedule: Schedule, factors: list[float]):
    assert [learning_rate_factor(schedule, step, num_steps=8) for step in range(8)] == pytest.approx(factors)


def test_the_linear_schedule_stays_at_its_final_factor():
    schedule = LinearSchedule(type="linear", final_factor=0.25)
    assert [learning_rate_factor(schedule, step, num_steps=8) for step in (8, 9, 100)] == [0.25, 0.25, 0.25]
