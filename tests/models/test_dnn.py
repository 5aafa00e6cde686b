from typing import get_args

import pytest
import torch
from lookups import lookup_of
from torch import nn

from pipeline.models import MODELS, build
from pipeline.models.dnn import DNN
from pipeline.models.fnn import FNN
from schemas.stage import MLPConfig, ModelName, StageConfig


def test_dnn_is_fnn_weight_by_weight():
    mlp = MLPConfig(hidden=(8, 4), dropout=0.5, batch_norm=True)
    dnn, fnn = DNN(3, 2, mlp, seed=6), FNN(3, 2, mlp, seed=6)
    assert str(dnn.mlp) == str(fnn.mlp)
    weights = fnn.state_dict()
    assert dnn.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in dnn.state_dict().items())

    rows_BFD = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(dnn.eval()(lookup_of(rows_BFD)), fnn.eval()(lookup_of(rows_BFD)))


def test_every_name_of_the_config_has_its_model():
    assert set(MODELS) == set(get_args(ModelName))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_scalar_w0_of_zero_and_one_logit_a_row(name: ModelName):
    model = build(StageConfig(name=name, model=name, mlp=MLPConfig(hidden=(4,))), num_fields=3, dimension=2, seed=0)
    assert isinstance(model.w0, nn.Parameter)
    assert model.w0.shape == ()
    assert model.w0.item() == 0
    assert "w0" in model.state_dict()
    assert model(lookup_of(torch.ones(5, 3, 3))).shape == (5,)
