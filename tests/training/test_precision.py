"""What precision the layers' products have, whatever the machine multiplies faster."""

import pytest
import torch

from pipeline.training.precision import matmuls_in

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "is_within"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_products_are_as_exact_as_their_precision_says(precision, is_within):
    left, right = torch.rand(2, 128, 128, generator=torch.Generator().manual_seed(0))
    with matmuls_in(precision, CPU):
        product = left @ right
    exact = left.double() @ right.double()
    error = float(((product.double() - exact) / exact).abs().max())
    assert is_within / 1e4 < error < is_within
