import math

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.mlp import MLP
from schemas.stage import MLPConfig


def linears(mlp: MLP) -> list[nn.Linear]:
    return [layer for layer in mlp.layers if isinstance(layer, nn.Linear)]


def fill(mlp: MLP, weight: float, bias: float) -> None:
    with torch.no_grad():
        for linear in linears(mlp):
            linear.weight.fill_(weight)
            linear.bias.fill_(bias)


def test_mlp_by_hand():
    # Weights and biases of one: both units are relu(1 - 3 + 1) = 0 or relu(1 + 2 + 1) = 4, the logit their sum plus 1.
    mlp = MLP(2, MLPConfig(hidden=(2,)), seed=0)
    fill(mlp, weight=1, bias=1)
    assert mlp(torch.tensor([[1.0, -3.0], [1.0, 2.0]])).tolist() == [1, 9]


def test_without_hidden_layers_it_is_linear():
    mlp = MLP(3, MLPConfig(hidden=()), seed=0)
    fill(mlp, weight=2, bias=-1)
    assert mlp(torch.tensor([[0.5, 1.0, -3.0]])).tolist() == [-4]


@pytest.mark.parametrize(
    ("activation", "logit"),
    [("sigmoid", 1 / (1 + math.e)), ("tanh", math.tanh(-1)), ("relu", 0.0), ("leaky_relu", -0.01)],
)
def test_each_activation_of_minus_one(activation: str, logit: float):
    mlp = MLP(1, MLPConfig.model_validate({"hidden": (1,), "activation": activation}), seed=0)
    fill(mlp, weight=1, bias=0)
    assert mlp(torch.tensor([[-1.0]])).item() == pytest.approx(logit)


def test_the_order_within_a_hidden_layer():
    mlp = MLP(4, MLPConfig(hidden=(3, 2), activation="tanh", dropout=0.5, batch_norm=True), seed=0)
    hidden = [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Dropout]
    assert [type(layer) for layer in mlp.layers] == [*hidden, *hidden, nn.Linear]
    assert [(linear.in_features, linear.out_features) for linear in linears(mlp)] == [(4, 3), (3, 2), (2, 1)]


def test_dropout_is_off_in_evaluation():
    mlp = MLP(4, MLPConfig(hidden=(50,), dropout=0.5), seed=0)
    x = torch.ones(1, 4)
    torch.manual_seed(0)
    assert mlp(x).item() != mlp(x).item()
    mlp.eval()
    assert mlp(x).item() == mlp(x).item()


def spread(weight: Tensor) -> tuple[float, float]:
    return weight.abs().max().item(), weight.std().item()


@pytest.mark.parametrize(
    ("initializer", "activation", "hidden_bound", "output_bound"),
    [
        ("uniform", "relu", 0.2, 0.2),
        ("xavier", "tanh", 5 / 3 * math.sqrt(6 / (300 + 200)), math.sqrt(6 / (200 + 1))),
        ("xavier", "sigmoid", math.sqrt(6 / (300 + 200)), math.sqrt(6 / (200 + 1))),
        ("kaiming", "relu", math.sqrt(2) * math.sqrt(3 / 300), math.sqrt(3 / 200)),
        ("kaiming", "leaky_relu", math.sqrt(2 / (1 + 0.01**2)) * math.sqrt(3 / 300), math.sqrt(3 / 200)),
    ],
)
def test_uniform_initializers_fill_their_bounds(
    initializer: str, activation: str, hidden_bound: float, output_bound: float
):
    config = {"hidden": (200,), "activation": activation, "initializer": initializer, "init_scale": 0.2}
    hidden, output = linears(MLP(300, MLPConfig.model_validate(config), seed=0))
    for linear, bound, tolerance in ((hidden, hidden_bound, 0.01), (output, output_bound, 0.1)):
        largest, deviation = spread(linear.weight)
        assert bound * (1 - tolerance) < largest <= bound * (1 + 1e-6)
        assert deviation == pytest.approx(bound / math.sqrt(3), rel=tolerance)
        assert not linear.bias.any()


def test_the_normal_initializer_has_the_deviation_asked_for():
    hidden, output = linears(MLP(300, MLPConfig(hidden=(200,), initializer="normal", init_scale=0.2), seed=0))
    assert spread(hidden.weight)[1] == pytest.approx(0.2, rel=0.02)
    assert spread(hidden.weight)[0] > 0.6
    assert spread(output.weight)[1] == pytest.approx(0.2, rel=0.2)


def test_weights_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = MLP(5, MLPConfig(), seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = MLP(5, MLPConfig(), seed=3).state_dict(), MLP(5, MLPConfig(), seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("num_rows", [0, 1, 33])
def test_logits_without_a_gradient_are_those_with_one(activation: str, batch_norm: bool, num_rows: int):
    config = {"hidden": (7, 5), "activation": activation, "batch_norm": batch_norm, "dropout": 0.5}
    mlp = MLP(3, MLPConfig.model_validate(config), seed=0).eval()
    for linear in linears(mlp):
        nn.init.normal_(linear.bias, generator=torch.Generator().manual_seed(1))
    x = torch.randn(num_rows, 3, generator=torch.Generator().manual_seed(2))
    expected = mlp(x).detach()
    with torch.no_grad():
        torch.testing.assert_close(mlp(x), expected, rtol=1e-5, atol=1e-6)
    assert len(expected) == num_rows


def test_without_a_gradient_autocast_chooses_the_precision_as_it_does_with_one():
    mlp = MLP(64, MLPConfig(hidden=(32,)), seed=0).eval()
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        expected = mlp(x).detach()
        with torch.no_grad():
            assert torch.equal(mlp(x), expected)
