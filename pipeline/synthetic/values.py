"""The values of all fields but users and items: how often each is seen, and its row of the factorization machine."""

from typing import NamedTuple

import numpy as np

from pipeline.synthetic.chance import Array, zipf

CATEGORIES = ("auto", "books", "fashion", "finance", "food", "games", "garden", "health", "music", "toys", "travel")
INTERESTS = tuple(f"{category}/{topic}" for topic in ("buy", "read", "watch") for category in CATEGORIES)
VALUES = {
    "country": ("US", "DE", "BR", "FR", "GB", "IT", "ES", "PL", "NL", "AT"),
    "category": CATEGORIES,
    "site_id": tuple(f"site{n}.example" for n in range(300)),
    "device": ("phone", "desktop", "tablet", "tv"),
}

DIMENSION = 4
DEVIATIONS = {  # of w and of v's entries, relative to one another: the preset scales the whole
    "user_id": (0.30, 0.15),
    "interests": (0.25, 0.45),
    "country": (0.20, 0.25),
    "item_id": (0.30, 0.20),
    "advertiser_id": (0.20, 0.20),
    "category": (0.25, 0.45),
    "site_id": (0.25, 0.20),
    "device": (0.25, 0.35),
    "hour": (0.20, 0.20),
}


class Embeddings(NamedTuple):
    w: Array  # [n]
    v: Array  # [n, DIMENSION]


class Values:
    """`shares` and `fields` by field. To none of these values are others born."""

    def __init__(self, rng: np.random.Generator, num_items: int) -> None:
        self.shares = {  # the last of some is null's
            "interests": zipf(len(INTERESTS)),
            "country": np.append(zipf(len(VALUES["country"])), 0.05),
            "advertiser_id": zipf(max(8, num_items // 10)),
            "category": np.ones(len(CATEGORIES)),
            "site_id": np.append(zipf(len(VALUES["site_id"])), 0.05),
            "device": np.array([0.5, 0.3, 0.15, 0.05]),
            "hour": 1.2 + np.sin(2 * np.pi * (np.arange(24) - 9) / 24),
        }
        self.fields = {name: _centered(embeddings(rng, name, len(s)), s) for name, s in self.shares.items()}


def embeddings(rng: np.random.Generator, name: str, count: int) -> Embeddings:
    of_w, of_v = DEVIATIONS[name]
    w, v = rng.standard_normal(count, np.float32), rng.standard_normal((count, DIMENSION), np.float32)
    return Embeddings(of_w * w, of_v * v)


def _centered(field: Embeddings, shares: Array) -> Embeddings:
    """With mean 0 over the rows, so that <v_f, v_g> is interaction alone and worlds of other seeds are alike."""
    share = (shares / shares.sum()).astype(np.float32)
    return Embeddings(field.w - share @ field.w, field.v - share @ field.v)
