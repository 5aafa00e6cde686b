"""What makes a row clicked: a factorization machine over its ids, and a net that no such machine can express."""

import numpy as np

from pipeline.synthetic.chance import Array
from pipeline.synthetic.values import DIMENSION, Embeddings

W_OF_NUMBERS = {"num_past_views": 0.25, "price": -0.3, "balance_delta": 0.15}
UNITS = (("category", "device", "country"), ("device", "price", "balance_delta"))


class Net:
    """sum_h sin(phi_h + sum_j W_hj z_j), the z of unit h as UNITS has them: a number, or a value's hidden trait."""

    def __init__(self, rng: np.random.Generator, shares: dict[str, Array]) -> None:
        self.traits = {
            name: rng.permutation(np.linspace(-1.6, 1.6, len(shares[name]), dtype=np.float32))
            for name in ("category", "device", "country")
        }
        self.phases = rng.uniform(0, 2 * np.pi, len(UNITS))
        self.slopes = rng.choice([-1.0, 1.0], (len(UNITS), 3)) * rng.uniform(1.1, 1.5, (len(UNITS), 3))

    def __call__(self, ids: dict[str, Array], numbers: dict[str, Array]) -> Array:
        """[R], of numbers as `scaled` has them."""
        z = numbers | {name: trait[ids[name]] for name, trait in self.traits.items()}
        net = np.zeros(len(ids["user_id"]))
        for inputs, slopes, phase in zip(UNITS, self.slopes, self.phases, strict=True):
            net += np.sin(phase + sum(slope * z[name] for slope, name in zip(slopes, inputs, strict=True)))
        return net


def factorization_machine(
    ids: dict[str, Array], numbers: dict[str, Array], fields: dict[str, Embeddings], appeal: Array
) -> Array:
    """sum_f w_f x_f + sum_{f<g} <v_f, v_g> + the item's appeal; `scaled` numbers have w alone.  [R]"""
    fm = appeal[ids["item_id"]] + sum(w * numbers[name] for name, w in W_OF_NUMBERS.items())
    sum_of_v = np.zeros((len(fm), DIMENSION), np.float32)
    for name, index in ids.items():
        w, v = fields[name]
        fm += (w - 0.5 * np.square(v).sum(axis=1))[index]  # sum_{f<g} <v_f, v_g> = (|sum v|^2 - sum |v|^2) / 2
        sum_of_v += v[index]
    return np.asarray(fm + 0.5 * np.square(sum_of_v).sum(axis=1))


def scaled(numbers: dict[str, Array]) -> dict[str, Array]:
    """Numbers of deviation 1 or so, float32, 0 for null."""
    scaled = {
        "num_past_views": (np.log1p(numbers["num_past_views"]) - 1.7) / 1.2,
        "price": np.log(numbers["price"]) - 2.5,
        "balance_delta": np.arcsinh(numbers["balance_delta"] / 5.0) / 1.5,
    }
    return {name: np.nan_to_num(x).astype(np.float32) for name, x in scaled.items()}
