import math
from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.mlp import MLP
from pipeline.models.rbm import RBM, pretrain
from schemas.stage import MLPConfig

Visible = Literal["gaussian", "binary"]


def bits(num_bits: int) -> Tensor:
    """All of them. [2 ** num_bits, num_bits]"""
    return torch.tensor(list(product((0.0, 1.0), repeat=num_bits)))


def rbm_of(weight: list[list[float]], visible_bias: list[float], hidden_bias: list[float], visible: Visible) -> RBM:
    rbm = RBM(len(visible_bias), len(hidden_bias), visible, seed=0)
    for parameter, values in (
        (rbm.weight_HV, weight),
        (rbm.visible_bias_V, visible_bias),
        (rbm.hidden_bias_H, hidden_bias),
    ):
        parameter.copy_(torch.tensor(values))
    return rbm


def linears(mlp: MLP) -> list[nn.Linear]:
    return [layer for layer in mlp.layers if isinstance(layer, nn.Linear)]


def mlp_of(**config: object) -> MLP:
    return MLP(6, MLPConfig.model_validate({"hidden": (5, 3), **config}), seed=0)


def real_batches() -> list[Tensor]:
    """Six units that two causes explain, on scales of their own, but for the fourth, which is always 0.1."""
    generator = torch.Generator().manual_seed(7)
    causes_B2 = torch.randint(2, (300, 2), generator=generator) * 2.0 - 1
    noise_BV = torch.randn(300, 6, generator=generator)
    x = (causes_B2.repeat(1, 3) + 0.3 * noise_BV) * torch.tensor([1.0, 0.01, 20, 1, 3, 0.5]) + 2
    x[:, 3] = 0.1
    return list(x.split(32))


def free_energy(rbm: RBM, v_BV: Tensor) -> Tensor:
    """-log sum_h exp(-E(v, h)) = -log p(v) - log Z   (Hinton 2010, section 16.1).  [B, V] -> [B]"""
    of_hidden_B = -softplus(v_BV @ rbm.weight_HV.T + rbm.hidden_bias_H).sum(dim=1)
    if rbm.visible == "binary":
        return of_hidden_B - v_BV @ rbm.visible_bias_V
    return of_hidden_B + 0.5 * (v_BV - rbm.visible_bias_V).square().sum(dim=1)


def test_hidden_probabilities_and_reconstruction_by_hand():
    # v = (1, 2): the hidden unit's input is 1 - 2 + 1 = 0, so p(h) is a half; down again 0.5 (1, -1) + (3, 0.5).
    rbm = rbm_of([[1.0, -1.0]], [3.0, 0.5], [1.0], "gaussian")
    v = torch.tensor([[1.0, 2.0]])
    assert rbm.hidden_probabilities(v).tolist() == [[0.5]]
    assert rbm.reconstruct(v).tolist() == [[3.5, 0.0]]
    rbm.visible = "binary"
    assert rbm.reconstruct(v).tolist() == [pytest.approx([torch.tensor(3.5).sigmoid().item(), 0.5])]


@pytest.mark.parametrize("visible", ["gaussian", "binary"])
def test_free_energy_sums_over_all_hidden_states(visible: Visible):
    w, b, c = [[1.0, -2.0], [0.5, 3.0], [-1.5, 0.2]], [0.3, -0.7], [0.1, -1.0, 2.0]
    v_BV, h_SH = torch.tensor([[0.0, 1.0], [1.0, 1.0], [-2.0, 0.5]]), bits(3)
    interactions_BS = v_BV @ (h_SH @ torch.tensor(w)).T
    biases_BS = (h_SH @ torch.tensor(c)).expand(3, 8)
    if visible == "binary":
        of_visible_B1 = -(v_BV @ torch.tensor(b))[:, None]
    else:
        of_visible_B1 = 0.5 * ((v_BV - torch.tensor(b)) ** 2).sum(dim=1, keepdim=True)
    energies_BS = of_visible_B1 - interactions_BS - biases_BS
    expected_B = -energies_BS.neg().exp().sum(dim=1).log()
    assert free_energy(rbm_of(w, b, c, visible), v_BV).tolist() == pytest.approx(expected_B.tolist(), rel=1e-5)


def test_a_step_of_contrastive_divergence_by_hand():
    # All inputs are beyond +-20, so that every probability is 0 or 1, and samples are certain.
    #   v = (0, 1): h = [20 - 80 > 0] = 0, again v = [(40, 40) > 0] = (1, 1), h = [20 + 80 - 80 > 0] = 1
    #   v = (1, 1): h = 1, again v = [(80 + 40, -80 + 40) > 0] = (1, 0), h = 1
    # h v less the reconstruction's: -(1, 1) and (1, 1) - (1, 0), on average (-0.5, 0).
    rbm = rbm_of([[80.0, -80.0]], [40.0, 40.0], [20.0], "binary")
    rbm.learn(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), learning_rate=2.0)
    assert rbm.weight_HV.tolist() == [[79, -80]]
    assert rbm.visible_bias_V.tolist() == [39, 41]
    assert rbm.hidden_bias_H.tolist() == [19]


def test_gaussian_units_are_reconstructed_without_noise():
    # v = 1: h = 1, again v = 40 + 3, h = 1; h v falls from 1 to 43.
    rbm = rbm_of([[40.0]], [3.0], [0.0], "gaussian")
    rbm.learn(torch.tensor([[1.0]]), learning_rate=0.5)
    assert [rbm.weight_HV.item(), rbm.visible_bias_V.item(), rbm.hidden_bias_H.item()] == [40 - 21, 3 + 21 - 42, 0]


def test_momentum_repeats_a_step_and_weight_decay_spares_the_biases():
    # The reconstructions are perfect: only decay moves the weight, then only momentum.
    rbm = rbm_of([[40.0]], [3.0], [0.5], "gaussian")
    rbm.learn(torch.tensor([[43.0]]), learning_rate=0.5, weight_decay=0.25)
    assert rbm.weight_HV.item() == 40 - 5
    rbm.learn(torch.tensor([[38.0]]), learning_rate=0.5, momentum=0.5)
    assert rbm.weight_HV.item() == 40 - 5 - 2.5
    assert [rbm.visible_bias_V.item(), rbm.hidden_bias_H.item()] == [3, 0.5]


def test_learning_correlated_bits_raises_their_likelihood_to_that_of_their_source():
    # The source says each of two bits four times, one time in ten wrongly.
    words_WV, all_SV = bits(2).repeat(1, 4), bits(8)
    is_wrong = torch.rand(400, 8, generator=torch.Generator().manual_seed(1)) < 0.1
    v_BV = (words_WV.repeat(100, 1) - is_wrong.float()).abs()
    num_wrong_BW = (v_BV[:, None] - words_WV).abs().sum(dim=2)
    of_source = (0.1**num_wrong_BW * 0.9 ** (8 - num_wrong_BW)).mean(dim=1).log().mean().item()

    rbm = RBM(8, 4, "binary", seed=0)
    gaps, log_likelihoods, errors = [], [], []
    for num_steps in (0, 100, 300):
        for _ in range(num_steps):
            rbm.learn(v_BV, learning_rate=0.5)
        energy_B, energy_S = free_energy(rbm, v_BV), free_energy(rbm, all_SV)
        gaps.append((energy_B.mean() - energy_S.mean()).item())
        log_likelihoods.append((-energy_B - torch.logsumexp(-energy_S, dim=0)).mean().item())
        errors.append((rbm.reconstruct(v_BV) - v_BV).square().mean().item())
    assert gaps[0] > gaps[1] > gaps[2]
    assert log_likelihoods[0] == pytest.approx(-math.log(256), abs=0.01)
    assert log_likelihoods[0] < log_likelihoods[1] < log_likelihoods[2] == pytest.approx(of_source, abs=0.15)
    assert errors[0] == pytest.approx(0.25, rel=0.01)
    assert errors[2] < errors[1] < 0.25
    assert errors[2] < 0.1 * 0.9


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_a_pretrained_layer_computes_its_rbms_hidden_input_from_raw_inputs(activation: str):
    mlp, batches, visible = mlp_of(activation=activation), real_batches(), "gaussian"
    pretrain(mlp, batches, epochs=3, learning_rate=0.01, seed=5)
    for i, (linear, activate) in enumerate(zip(linears(mlp)[:2], mlp.layers[1::2], strict=True)):
        x = torch.cat(batches)
        mean_V, deviation_V = x.mean(dim=0), x.std(dim=0, correction=0)
        deviation_V[x.amax(dim=0) == x.amin(dim=0)] = 1
        rbm = RBM(linear.in_features, linear.out_features, visible, seed=5 + i)
        if visible == "binary":
            rbm.visible_bias_V.copy_((mean_V / (1 - mean_V)).log())
            mean_V, deviation_V = torch.tensor(0.0), torch.tensor(1.0)
        for _ in range(3):
            for x_BV in batches:
                rbm.learn((x_BV - mean_V) / deviation_V, 0.01)
        hidden_inputs = (x - mean_V) / deviation_V @ rbm.weight_HV.T + rbm.hidden_bias_H
        assert torch.allclose(linear(x), hidden_inputs, rtol=1e-4, atol=1e-4)
        batches = [activate(linear(x_BV)).detach() for x_BV in batches]
        visible = "binary" if activation == "sigmoid" else "gaussian"


def test_a_unit_that_never_varies_keeps_a_small_weight():
    mlp, batches = mlp_of(), real_batches()
    pretrain(mlp, batches, epochs=3, learning_rate=0.01, seed=5)
    assert linears(mlp)[0].weight[:, 3].abs().max() < 0.1


def test_the_fits_say_how_much_better_each_layers_inputs_are_reconstructed():
    # Five of the six standardised inputs vary, with variance 1, of which the noise has 0.09 / 1.09.
    first, second = pretrain(mlp_of(activation="sigmoid"), real_batches(), epochs=50, learning_rate=0.1, seed=0)
    assert first.error_before == pytest.approx(5 / 6, rel=0.01)
    assert first.error_after < 5 / 6 * 0.09 / 1.09
    assert second.error_after < 0.8 * second.error_before


def test_the_output_unit_is_left_as_it_was():
    mlp = mlp_of()
    before = {name: value.clone() for name, value in mlp.state_dict().items()}
    pretrain(mlp, real_batches(), epochs=1, learning_rate=0.01, seed=0)
    is_kept = {name: torch.equal(value, before[name]) for name, value in mlp.state_dict().items()}
    assert [name for name in is_kept if is_kept[name]] == ["layers.4.weight", "layers.4.bias"]
    assert all(parameter.requires_grad and parameter.grad is None for parameter in mlp.parameters())


def test_pretraining_depends_on_its_seed_and_on_nothing_else():
    def pretrained(seed: int) -> list[Tensor]:
        mlp = mlp_of(activation="sigmoid")
        pretrain(mlp, real_batches(), epochs=2, learning_rate=0.01, seed=seed)
        return list(mlp.parameters())

    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = pretrained(3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert all(torch.equal(*pair) for pair in zip(first, pretrained(3), strict=True))
    assert not torch.equal(first[0], pretrained(4)[0])


@pytest.mark.parametrize("is_training", [True, False])
def test_dropout_is_off_while_pretraining_and_the_mode_is_kept(is_training: bool):
    plain, dropping = mlp_of(), mlp_of(dropout=0.5).train(is_training)
    for mlp in (plain, dropping):
        pretrain(mlp, real_batches(), epochs=2, learning_rate=0.01, seed=0)
    assert all(torch.equal(*pair) for pair in zip(plain.parameters(), dropping.parameters(), strict=True))
    assert {module.training for module in dropping.modules()} == {is_training}


def test_batch_norm_is_refused_before_anything_changes():
    mlp = mlp_of(batch_norm=True)
    before = {name: value.clone() for name, value in mlp.state_dict().items()}
    with pytest.raises(ValueError, match="batch_norm"):
        pretrain(mlp, real_batches(), epochs=1, learning_rate=0.01, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in mlp.state_dict().items())


def test_an_rbm_that_diverges_is_refused():
    with pytest.raises(ValueError, match=r"in_features=6.*diverged at a learning rate of 100.0"):
        pretrain(mlp_of(), real_batches(), epochs=20, learning_rate=100.0, seed=0)


def test_without_hidden_layers_there_is_nothing_to_pretrain():
    assert pretrain(mlp_of(hidden=()), real_batches(), epochs=1, learning_rate=0.01, seed=0) == []
