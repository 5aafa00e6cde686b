"""Rows of a day: drawn, and written as the columns of a log."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.synthetic.chance import Array, draw, sigmoid
from pipeline.synthetic.population import MAX_INTERESTS, NULL_LIST, Population
from pipeline.synthetic.values import INTERESTS, VALUES, Values


class Impressions(NamedTuple):
    """Impressions by column. An id is its value's index, one past the last for null; interests have their user's."""

    ids: dict[str, Array]
    numbers: dict[str, Array]  # NaN for null


def draw_impressions(rng: np.random.Generator, population: Population, values: Values, num_rows: int) -> Impressions:
    users, items = population.users, population.items
    user, item = draw(rng, users.popularity, num_rows), draw(rng, items.popularity, num_rows)
    noise, hidden = rng.standard_normal((5, num_rows)), rng.random((2, num_rows))
    views = np.floor(np.exp(1.5 + 1.3 * noise[0])) * (user < population.num_old_users)
    ctr = sigmoid(-3.3 + 2.0 * users.w[user] + population.preset.ctr_noise * noise[1])
    price = np.maximum(np.exp(2.5 + items.log_price[item] + 0.7 * noise[2]), 0.01)
    balance = 10.0 * noise[3] * np.exp(noise[4])
    return Impressions(
        ids={
            "user_id": user,
            "interests": user,
            "country": users.country[user],
            "item_id": item,
            "advertiser_id": items.advertiser[item],
            "category": items.category[item],
            **{name: draw(rng, values.shares[name], num_rows) for name in ("site_id", "device", "hour")},
        },
        numbers={
            "num_past_views": views,
            "user_ctr": np.where(views == 0, np.nan, ctr.round(4)),
            "price": np.where(hidden[0] < 0.06, np.nan, price.round(2)),
            "balance_delta": np.where(hidden[1] < 0.1, np.nan, balance.round(2)),
        },
    )


def columns(rows: Impressions, population: Population, values: Values) -> dict[str, pa.Array]:
    """All columns but the row's name and its label."""
    users, user, numbers = population.users, rows.ids["user_id"], rows.numbers
    names = {
        **VALUES,
        "item_id": [f"item{n}" for n in population.items.number],
        "advertiser_id": [f"adv{n}" for n in range(len(values.shares["advertiser_id"]))],
    }
    return {
        "user_id": pa.array(users.number[user] + 1),
        "interests": _lists(users.interests[user], users.num_interests[user]),
        "hour": pa.array(rows.ids["hour"].astype(np.int8)),
        **{name: _texts(rows.ids[name], values) for name, values in names.items()},
        "num_past_views": pa.array(numbers["num_past_views"].astype(np.int32)),
        **{name: pa.array(numbers[name], from_pandas=True) for name in ("user_ctr", "price", "balance_delta")},
    }


def _texts(indices: Array, values: Sequence[str]) -> pa.Array:
    codes = pa.array(indices.astype(np.int32), mask=indices == len(values))
    return pa.DictionaryArray.from_arrays(codes, pa.array(values))


def _lists(interests: Array, num_interests: Array) -> pa.Array:
    offsets = np.append(0, np.maximum(num_interests, 0).cumsum()).astype(np.int32)
    flat = interests[np.arange(MAX_INTERESTS) < num_interests[:, None]]
    return pa.ListArray.from_arrays(offsets, _texts(flat, INTERESTS), mask=pa.array(num_interests == NULL_LIST))
