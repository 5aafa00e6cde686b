import torch
from lookups import lookup_of
from torch import Tensor

from pipeline.models.deepfm import DeepFM
from pipeline.models.fm import FM
from schemas.stage import MLPConfig


def random_rows(num_rows: int, num_fields: int, dimension: int) -> Tensor:
    return torch.randn(num_rows, num_fields, 1 + dimension, generator=torch.Generator().manual_seed(0))


def test_deepfm_by_hand():
    # FM: 0.5 + 1 + 2 + <(3, 4), (5, 6)> = 42.5; deep part, one linear unit with weights 1, 10, 100, 1000: 6543.
    deepfm = DeepFM(num_fields=2, dimension=2, mlp=MLPConfig(hidden=()), seed=0)
    with torch.no_grad():
        deepfm.w0.fill_(0.5)
        deepfm.mlp.layers[0].weight.copy_(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]))
    assert deepfm(lookup_of(torch.tensor([[[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]]))).tolist() == [42.5 + 6543]


def test_deepfm_with_a_zero_head_is_its_fm():
    deepfm, fm = DeepFM(4, 3, MLPConfig(hidden=(8, 4)), seed=0), FM()
    with torch.no_grad():
        deepfm.w0.fill_(0.7)
        fm.w0.copy_(deepfm.w0)
        for parameter in deepfm.mlp.layers[-1].parameters():
            parameter.zero_()
    rows_BFD = random_rows(6, 4, 3)
    assert torch.equal(deepfm(lookup_of(rows_BFD)), fm(lookup_of(rows_BFD)))


def test_deepfm_is_the_sum_of_its_two_parts():
    deepfm, rows_BFD = DeepFM(4, 3, MLPConfig(), seed=0), random_rows(6, 4, 3)
    deep_B = deepfm.mlp(rows_BFD[:, :, 1:].reshape(6, 12))
    torch.testing.assert_close(deepfm(lookup_of(rows_BFD)), FM()(lookup_of(rows_BFD)) + deep_B)


def test_the_deep_part_does_not_see_w():
    deepfm, rows_BFD = DeepFM(2, 3, MLPConfig(hidden=(5,)), seed=0), random_rows(3, 2, 3).requires_grad_()
    deepfm(lookup_of(rows_BFD, is_grouped=True)).sum().backward()
    assert rows_BFD.grad is not None
    assert rows_BFD.grad[:, :, 0].tolist() == [[1, 1]] * 3
