"""Models of several outputs a row, and what is served of them."""

import math

import numpy as np
import pytest
import torch
from lookups import lookup_of

from pipeline.data.target import Target
from pipeline.models import MODELS, build, served
from pipeline.models.deepfm import DeepFM
from pipeline.models.fm import FM, pairwise_interactions
from schemas.stage import MLPConfig, ModelName, StageConfig

CLASSES = Target("multiclass", ("a", "b", "c"))
NUMBERS = Target("regression", shift=10.0, scale=2.0)


def random_rows(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_an_fm_of_two_classes_by_hand():
    # Fields (w; v) = (2; 0, 1) and (3; 2, 3). Their sum is (5; 2, 4), and v_1 * v_2 by element is (0, 3). With a_0 =
    # (1; 0, 0), b_0 = (1, 1): .5 + 5 + 0 + 3; with a_1 = (0; 1, -1), b_1 = (2, 0): -1 + (2 - 4) + 0.
    fm = FM(dimension=2, outputs=2)
    assert fm.classes is not None
    with torch.no_grad():
        fm.w0.copy_(torch.tensor([0.5, -1.0]))
        fm.classes.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 1.0, 1.0], [0.0, 1.0, -1.0, 2.0, 0.0]]))
    rows_BFD = torch.tensor([[[2.0, 0.0, 1.0], [3.0, 2.0, 3.0]]])
    assert fm(lookup_of(rows_BFD)).tolist() == [[8.5, -3.0]]


def test_an_fm_of_classes_is_the_double_sum_over_its_fields():
    rows_BFD, fm = random_rows(5, 4, 3).double(), FM(dimension=2, outputs=3, seed=1).double()
    assert fm.classes is not None
    a_CD, b_CK = fm.classes.weight[:, :3], fm.classes.weight[:, 3:]
    expected = torch.zeros(5, 3, dtype=torch.float64)
    for f in range(4):
        expected += rows_BFD[:, f] @ a_CD.T
        for g in range(f + 1, 4):
            expected += (rows_BFD[:, f, 1:] * rows_BFD[:, g, 1:]) @ b_CK.T
    torch.testing.assert_close(fm(lookup_of(rows_BFD)), expected)


def test_a_class_with_the_vectors_of_rendles_fm_has_its_logit():
    rows_BFD, fm = random_rows(5, 4, 3), FM(dimension=2, outputs=2)
    assert fm.classes is not None
    with torch.no_grad():
        fm.classes.weight[0] = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    plain = rows_BFD[:, :, 0].sum(dim=1) + pairwise_interactions(rows_BFD[:, :, 1:])
    torch.testing.assert_close(fm(lookup_of(rows_BFD))[:, 0], plain)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("members", [1, 2])
def test_every_model_has_a_logit_and_a_bias_a_class(name: ModelName, members: int):
    members = 1 if name == "fm" else members
    stage = StageConfig(name=name, model=name, mlp=MLPConfig(hidden=(4,)), members=members)
    model = build(stage, num_fields=3, dimension=2, seed=0, outputs=3)
    assert model.w0.shape == (3,)
    assert model.bias.numel() == 3 * (1 if name == "deepfm" else members), "of a DeepFM its FM's"
    logits, before = (model(lookup_of(random_rows(5, 3, 3))) for _ in range(2))
    assert logits.shape == ((5, 3) if members == 1 else (2, 5, 3))
    with torch.no_grad():
        model.bias.view(-1, 3).add_(torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(model(lookup_of(random_rows(5, 3, 3))), before + torch.tensor([0.0, 1.0, 2.0]))


def test_a_deepfm_of_classes_without_layers_is_its_fm():
    deepfm = DeepFM(3, 2, MLPConfig(hidden=(4,)), seed=5, outputs=3)
    with torch.no_grad():
        deepfm.mlp.layers[-1].weight.zero_()
    fm, lookup = FM(2, seed=5, outputs=3), lookup_of(random_rows(6, 3, 3))
    assert torch.equal(deepfm(lookup), fm(lookup))


def test_what_members_of_classes_serve_is_the_mean_of_their_probabilities_by_hand():
    # (1/2, 1/4, 1/4) and (1/4, 1/4, 1/2) have the mean (3/8, 1/4, 3/8), whatever is added to all logits of a row.
    p_MBC = torch.tensor([[[0.5, 0.25, 0.25]], [[0.25, 0.25, 0.5]]])
    found = served(p_MBC.log() + torch.tensor([3.0, -2.0]).view(2, 1, 1), CLASSES)
    assert found.exp().tolist() == [pytest.approx([3 / 8, 1 / 4, 3 / 8])]
    assert served(p_MBC[0].log(), CLASSES).tolist() == p_MBC[0].log().tolist()
    large = served(torch.tensor([[[800.0, 0.0, 0.0]], [[0.0, 800.0, 0.0]]]), CLASSES)
    assert large.tolist() == [pytest.approx([-math.log(2), -math.log(2), -800.0])]


def test_a_number_is_served_in_the_labels_unit_and_as_the_mean_of_the_members():
    assert served(torch.tensor([-1.0, 0.0, 2.5]), NUMBERS).tolist() == [8.0, 10.0, 15.0]
    assert served(torch.tensor([[-1.0, 0.0], [2.0, 1.0]]), NUMBERS).tolist() == [11.0, 11.0]


def test_class_terms_are_drawn_by_the_seed_alone():
    first, again, other = (FM(2, seed=seed, outputs=3).state_dict()["classes.weight"].numpy() for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
