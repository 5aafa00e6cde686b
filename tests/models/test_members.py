"""Several nets over the same rows: each is to be what it would be alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lookups import lookup_of
from torch import Tensor, nn

from pipeline.models import build, served
from pipeline.models.members import Members
from pipeline.models.mlp import MLP
from schemas.stage import MLPConfig, ModelName, StageConfig

NUM_INPUTS = 4


def stage_of(name: ModelName, members: int) -> StageConfig:
    return StageConfig(name=name, model=name, mlp=MLPConfig(hidden=(5,)), members=members)


def alone(members: Members, config: MLPConfig) -> list[MLP]:
    """Each member as an MLP of its own, with its weights; batch norm's are as at the start."""
    mlps = [MLP(NUM_INPUTS, config, seed=0).double() for _ in range(members.count)]
    for m, mlp in enumerate(mlps):
        for one, other in zip(mlp.layers, members.layers, strict=True):
            if isinstance(one, nn.Linear):
                one.weight.data.copy_(other.weight[m])
                one.bias.data.copy_(other.bias.view(members.count, -1)[m])
    return mlps


def loss_of(logits_B: Tensor, labels_B: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits_B, labels_B, reduction="sum")


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    config=st.builds(
        MLPConfig,
        hidden=st.lists(st.integers(1, 5), max_size=3).map(tuple),
        activation=st.sampled_from(["sigmoid", "tanh", "relu", "leaky_relu"]),
        batch_norm=st.booleans(),
    ),
    count=st.integers(2, 4),
    seed=st.integers(0, 2**31 - 1),
)
def test_each_member_gets_the_gradient_that_it_would_get_alone(config, count, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, NUM_INPUTS, generator=generator, dtype=torch.float64).requires_grad_()
    labels_B = (torch.rand(6, generator=generator) < 0.5).double()
    members = Members(NUM_INPUTS, config, seed, count).double()
    mlps = alone(members, config)
    logits_MB = members(x)
    loss_of(logits_MB, labels_B.expand_as(logits_MB)).backward()
    of_members, x.grad = x.grad, None
    for m, mlp in enumerate(mlps):
        logits_B = mlp(x)
        loss_of(logits_B, labels_B).backward()
        torch.testing.assert_close(logits_MB[m], logits_B)
        for own, its in zip(members.parameters(), mlp.parameters(), strict=True):
            torch.testing.assert_close(own.grad.view(count, *its.shape)[m], its.grad)
    torch.testing.assert_close(of_members, x.grad, msg="what they share gets the sum of theirs")


def test_what_is_served_is_the_mean_of_the_members_probabilities_by_hand():
    # 1/2 and 3/4 have the mean 5/8, whose odds are 5 to 3.
    logits_MB = torch.tensor([[0.0, 60.0], [math.log(3), 60.0]])
    assert served(logits_MB).tolist() == pytest.approx([math.log(5 / 3), 60.0])
    assert served(torch.tensor([2.0])).tolist() == [2.0]


@pytest.mark.parametrize("name", ["dnn", "fnn", "deepfm"])
def test_the_first_of_many_members_is_the_net_of_one_and_no_two_are_alike(name):
    lone, many = (build(stage_of(name, count), 3, 2, seed=7) for count in (1, 3))
    assert isinstance(lone.mlp, MLP)
    for own, its in zip(many.mlp.parameters(), lone.mlp.parameters(), strict=True):
        assert torch.equal(own.view(3, *its.shape)[0], its)
        assert (own.ndim > 1) == (its.ndim > 1), (
            "an optimizer takes it for the same: a matrix, or what it does not decay"
        )
    rows_BFD = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))
    logits_MB = many(lookup_of(rows_BFD))
    torch.testing.assert_close(logits_MB[0], lone(lookup_of(rows_BFD)))
    assert len({tuple(logits_B.tolist()) for logits_B in logits_MB}) == 3


def test_members_over_one_fm_each_add_their_own_layers_to_it():
    deepfm, fm = build(stage_of("deepfm", 2), 3, 2, seed=7), build(stage_of("fm", 1), 3, 2, seed=0)
    with torch.no_grad():
        deepfm.mlp.layers[-1].weight[1].zero_()
    rows_BFD = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))
    without_layers = fm(lookup_of(rows_BFD))
    logits_MB = deepfm(lookup_of(rows_BFD))
    assert torch.equal(logits_MB[1], without_layers)
    assert not torch.allclose(logits_MB[0], without_layers)


def test_members_take_batches_of_no_rows_too():
    members = Members(NUM_INPUTS, MLPConfig(hidden=(3,), batch_norm=True), seed=0, count=2).eval()
    assert members(torch.empty(0, NUM_INPUTS)).shape == (2, 0)
    assert served(members(torch.empty(0, NUM_INPUTS))).shape == (0,)
