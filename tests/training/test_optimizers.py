import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lookups import lookup_of
from torch import nn

from pipeline.embedding.table import Table
from pipeline.models import build
from pipeline.models.deepfm import DeepFM
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress, StageState
from pipeline.training.optimizers import build_optimizer, learning_rate_factor
from schemas.config import TableConfig
from schemas.optimization import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OptimizerConfig,
    Schedule,
    StepSchedule,
)
from schemas.stage import MLPConfig, StageConfig

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
    model = build(
        StageConfig(name=model_name, model=model_name, mlp=MLPConfig(hidden=(4,), activation="tanh")), 3, 2, seed=0
    )
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


def chain() -> DeepFM:
    """Two hidden layers of one unit each over the one float v = 1 of the one field: 1 -> 2 -> 3 * 2 -> 5 * 6."""
    model = DeepFM(num_fields=1, dimension=1, mlp=MLPConfig(hidden=(1, 1)), seed=0)
    with torch.no_grad():
        for layer, weight in zip(linears(model), (2.0, 3.0, 5.0), strict=True):
            layer.weight.fill_(weight)
    return model


def linears(model: DeepFM) -> list[nn.Linear]:
    return [layer for layer in model.mlp.layers if isinstance(layer, nn.Linear)]


def step_of(optimizer: torch.optim.Optimizer, model: DeepFM) -> None:
    """Down the logit of the row [w | v] = [0 | 1]."""
    optimizer.zero_grad()
    model(lookup_of(torch.tensor([[[0.0, 1.0]]]))).sum().backward()
    optimizer.step()


def test_layer_decay_gives_each_matrix_a_learning_rate_of_its_own():
    # The logit is w0 + w_3 h_2 + b_3 with h_2 = w_2 h_1 + b_2 = 6 and h_1 = w_1 + b_1 = 2, so its gradients are
    # h_2 = 6, w_3 h_1 = 10, w_3 w_2 = 15 by the weights and 1, w_3 = 5, w_3 w_2 = 15 by the biases, from the top.
    model = chain()
    step_of(build_optimizer(model.parameters(), config_of("sgd", layer_decay=0.5)), model)
    first, second, output = linears(model)
    assert output.weight.item() == pytest.approx(5 - 0.1 * 6)
    assert second.weight.item() == pytest.approx(3 - 0.1 * 0.5 * 10)
    assert first.weight.item() == pytest.approx(2 - 0.1 * 0.25 * 15)
    assert [layer.bias.item() for layer in (output, second, first)] == pytest.approx([-0.1, -0.5, -1.5])
    assert model.w0.item() == pytest.approx(-0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_decay_of_1_keeps_two_groups_and_another_one_for_each_matrix(name: str):
    model = chain()
    plain, decayed = (
        build_optimizer(model.parameters(), config_of(name, layer_decay=decay, weight_decay=0.5)) for decay in (1, 0.5)
    )
    assert [(group["lr"], group["weight_decay"]) for group in plain.param_groups] == [(0.1, 0.5), (0.1, 0)]
    groups = [(group["lr"], group["weight_decay"], len(group["params"])) for group in decayed.param_groups]
    assert groups == [(0.025, 0.5, 1), (0.05, 0.5, 1), (0.1, 0.5, 1), (0.1, 0, 4)]


def test_a_model_without_matrices_has_no_layers_to_decay():
    assert walk(config_of("sgd", layer_decay=0.5), scalar(1.0), [2]) == pytest.approx([0.8])


@pytest.mark.parametrize("name", NAMES)
def test_layer_decay_survives_a_checkpoint(name: str, tmp_path: Path):
    config = config_of(name, layer_decay=0.5)

    def fresh() -> StageState:
        model = chain()
        table = Table.create(1, TableConfig(dimension=1), seed=0)
        return StageState(table, model, build_optimizer(model.parameters(), config), Progress("deepfm"))

    one, other = fresh(), fresh()
    step_of(one.optimizer, one.model)
    checkpoint.save(one, tmp_path)
    checkpoint.restore(other, tmp_path)
    for state in (one, other):
        step_of(state.optimizer, state.model)
    assert [group["lr"] for group in other.optimizer.param_groups] == [0.025, 0.05, 0.1, 0.1]
    for value, expected in zip(other.model.parameters(), one.model.parameters(), strict=True):
        assert torch.equal(value, expected)


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


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_takes_the_steps_of_torchs_own_to_the_bit(name):
    own, its = (nn.Linear(3, 2) for _ in range(2))
    its.load_state_dict(own.state_dict())
    kind = {"momentum": "SGD", "rmsprop": "RMSprop", "adamw": "AdamW", "sgd": "SGD"}.get(name, name.capitalize())
    options = {"momentum": {"momentum": 0.9}, "adam": {"fused": True}, "adamw": {"fused": True}}.get(name, {})
    groups = [{"params": [its.weight], "weight_decay": 0.1}, {"params": [its.bias], "weight_decay": 0.0}]
    of_torch = getattr(torch.optim, kind)(groups, lr=0.1, **options)
    optimizer = build_optimizer(own.parameters(), config_of(name, weight_decay=0.1, momentum=0.9))
    for step in range(3):
        for net, one in ((own, optimizer), (its, of_torch)):
            net(torch.full((4, 3), 1.0 + step)).square().sum().backward()
            one.step()
            one.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), its.parameters(), strict=True))
    assert str(optimizer.state_dict()) == str(of_torch.state_dict())


@pytest.mark.slow
def test_no_optimizer_imports_torchs_compiler():
    script = (
        "import sys, torch\n"
        "from pipeline.training.optimizers import build_optimizer\n"
        "from schemas.optimization import OptimizerConfig\n"
        f"for name in {NAMES}:\n"
        "    start = torch.nn.Parameter(torch.ones(2, 2))\n"
        "    optimizer = build_optimizer([start], OptimizerConfig(name=name, learning_rate=0.1))\n"
        "    start.grad = torch.ones(2, 2)\n"
        "    optimizer.step(); optimizer.zero_grad(); optimizer.load_state_dict(optimizer.state_dict())\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
