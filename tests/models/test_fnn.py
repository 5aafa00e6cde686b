import torch
from lookups import lookup_of

from pipeline.models.fnn import FNN
from schemas.stage import MLPConfig


def test_the_input_is_w0_then_each_fields_row_in_turn():
    # Without hidden layers and with weights 1, 10, 100, ... the logit spells z = (w0, w_1, v_1, w_2, v_2).
    fnn = FNN(num_fields=2, dimension=2, mlp=MLPConfig(hidden=()), seed=0)
    with torch.no_grad():
        fnn.w0.fill_(7)
        fnn.mlp.layers[0].weight.copy_(torch.tensor([[1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6]]))
    assert fnn(lookup_of(torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]))).tolist() == [6543217]


def test_the_first_layer_has_one_input_for_w0_and_one_plus_k_for_each_field():
    fnn = FNN(num_fields=39, dimension=16, mlp=MLPConfig(hidden=(300, 100)), seed=0)
    shapes = [tuple(parameter.shape) for parameter in fnn.parameters() if parameter.ndim == 2]
    assert shapes == [(300, 1 + 39 * 17), (100, 300), (1, 100)]


def test_w0_and_all_of_the_rows_are_trained():
    fnn = FNN(num_fields=3, dimension=2, mlp=MLPConfig(hidden=(5,), activation="tanh"), seed=0)
    rows_BFD = torch.full((4, 3, 3), 0.1, requires_grad=True)
    logits_B = fnn(lookup_of(rows_BFD, is_grouped=True))
    assert logits_B.shape == (4,)
    logits_B.sum().backward()
    assert fnn.w0.grad is not None
    assert fnn.w0.grad.item() != 0
    assert rows_BFD.grad is not None
    assert rows_BFD.grad.all()


def test_an_empty_batch_has_no_logits():
    fnn = FNN(num_fields=3, dimension=2, mlp=MLPConfig(), seed=0)
    assert fnn(lookup_of(torch.zeros(0, 3, 3))).shape == (0,)
