"""The world behind a synthetic click log: who and what there is, and what makes it click.

A row of day d is clicked with probability sigmoid(logit), on a coin of its own:

    logit = b_d + a (sum_f w_f x_f + sum_{f<g} <v_f, v_g> + appeal_item(d)) + c sum_h sin(phi_h + sum_j W_hj z_j)

The first part is a factorization machine over all ids (the v_f of `interests` is its values' mean; numbers have w
alone); an item's appeal walks randomly over the days. In the second, every unit h mixes three inputs z: scaled numbers
and hidden traits of category, device and country. The sine of a sum of three is mostly interaction of all three: no FM
can express it, a deep net can learn it. a and c give the parts fixed deviations, b_d gives the day its click rate. The
logit depends on the row as written, nulls included: no model beats the truth but by luck.

Ids are Zipf's; every day users and items are born and some fade. Day d depends on the seed, the rows a day and d, never
on how many days are drawn.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[Any]

REFERENCE_ROWS = 16_384  # of each day, drawn to set a, c and b_d, and thrown away
CLICK_RATE = 0.035  # of every day; what drifts is who and what is there, and how it appeals
CATEGORIES = ("auto", "books", "fashion", "finance", "food", "games", "garden", "health", "music", "toys", "travel")
INTERESTS = tuple(f"{category}/{topic}" for topic in ("buy", "read", "watch") for category in CATEGORIES)
MAX_INTERESTS = 6
NULL_LIST = -1  # the number of interests of a user whose list is null
VALUES = {
    "country": ("US", "DE", "BR", "FR", "GB", "IT", "ES", "PL", "NL", "AT"),
    "category": CATEGORIES,
    "site_id": tuple(f"site{n}.example" for n in range(300)),
    "device": ("phone", "desktop", "tablet", "tv"),
}

DIMENSION = 4
DEVIATIONS = {  # of w and of v's entries, relative to one another: a scales the whole
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
W_OF_NUMBERS = {"num_past_views": 0.25, "price": -0.3, "balance_delta": 0.15}
UNITS = (("category", "device", "country"), ("device", "price", "balance_delta"))
FM_DEVIATION, NET_DEVIATION = 1.15, 1.1
APPEAL_STEP = 0.08


class _Embeddings(NamedTuple):
    w: Array  # [n]
    v: Array  # [n, DIMENSION]


class _Users(NamedTuple):
    """Users in the order of birth."""

    popularity: Array
    country: Array
    num_interests: Array
    interests: Array  # [n, MAX_INTERESTS], of which the first num_interests count


class _Items(NamedTuple):
    """Items in the order of birth."""

    popularity: Array
    appeal: Array
    advertiser: Array
    category: Array
    log_price: Array


class Impressions(NamedTuple):
    """Impressions by column. An id is its value's index, one past the last for null; interests have their user's."""

    ids: dict[str, Array]
    numbers: dict[str, Array]  # NaN for null


class World:
    """Who and what there is on the day begun last, how often it is seen, and what makes it click."""

    def __init__(self, rows_per_day: int, seed: int) -> None:
        self.seed = seed
        rng = self.rng(0, 0)
        self.user_shares = _zipf(max(50, rows_per_day // 40), exponent=0.7)
        self.item_shares = _zipf(max(25, rows_per_day // 80))
        self.shares = {  # of the values of each field to which none are born; the last share of some is null's
            "interests": _zipf(len(INTERESTS)),
            "country": np.append(_zipf(len(VALUES["country"])), 0.05),
            "advertiser_id": _zipf(max(8, len(self.item_shares) // 10)),
            "category": np.ones(len(CATEGORIES)),
            "site_id": np.append(_zipf(len(VALUES["site_id"])), 0.05),
            "device": np.array([0.5, 0.3, 0.15, 0.05]),
            "hour": 1.2 + np.sin(2 * np.pi * (np.arange(24) - 9) / 24),
        }
        self.fields = {name: _centered(_embeddings(rng, name, len(s)), s) for name, s in self.shares.items()}
        self.of_interest = self.fields.pop("interests")
        self.traits = {
            name: rng.permutation(np.linspace(-1.6, 1.6, len(self.shares[name]), dtype=np.float32))
            for name in ("category", "device", "country")
        }
        self.phases = rng.uniform(0, 2 * np.pi, len(UNITS))
        self.slopes = rng.choice([-1.0, 1.0], (len(UNITS), 3)) * rng.uniform(1.1, 1.5, (len(UNITS), 3))
        self.users = self._born_users(rng, self.user_shares.copy())
        self.items = self._born_items(rng, self.item_shares.copy())
        self.num_old_users = len(self.user_shares)

    def rng(self, day: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, day, stream])

    def begin_day(self, index: int) -> None:
        """Step on from the day before. Days must be begun in order, none left out."""
        rng = self.rng(index, 1)
        if index > 0:
            self._age(rng)
        fm, net = self._parts(self.draw(rng, REFERENCE_ROWS))
        if index == 0:
            self.fm_scale, self.net_scale = FM_DEVIATION / fm.std(), NET_DEVIATION / net.std()
        self.intercept = _intercept(self.fm_scale * fm + self.net_scale * net, CLICK_RATE)

    def draw(self, rng: np.random.Generator, num_rows: int) -> Impressions:
        user, item = _draw(rng, self.users.popularity, num_rows), _draw(rng, self.items.popularity, num_rows)
        noise, hidden = rng.standard_normal((5, num_rows)), rng.random((2, num_rows))
        views = np.floor(np.exp(1.5 + 1.3 * noise[0])) * (user < self.num_old_users)
        ctr = sigmoid(-3.3 + 2.0 * self.fields["user_id"].w[user] + 0.3 * noise[1])
        price = np.maximum(np.exp(2.5 + self.items.log_price[item] + 0.7 * noise[2]), 0.01)
        balance = 10.0 * noise[3] * np.exp(noise[4])
        return Impressions(
            ids={
                "user_id": user,
                "interests": user,
                "country": self.users.country[user],
                "item_id": item,
                "advertiser_id": self.items.advertiser[item],
                "category": self.items.category[item],
                **{name: _draw(rng, self.shares[name], num_rows) for name in ("site_id", "device", "hour")},
            },
            numbers={
                "num_past_views": views,
                "user_ctr": np.where(views == 0, np.nan, ctr.round(4)),
                "price": np.where(hidden[0] < 0.06, np.nan, price.round(2)),
                "balance_delta": np.where(hidden[1] < 0.1, np.nan, balance.round(2)),
            },
        )

    def logits(self, rows: Impressions) -> Array:
        """The true log-odds of a click, float64 [R]."""
        fm, net = self._parts(rows)
        return np.asarray(self.intercept + self.fm_scale * fm + self.net_scale * net, np.float64)

    def _parts(self, rows: Impressions) -> tuple[Array, Array]:
        """The FM and the net before they are scaled, [R] each."""
        numbers = _scaled(rows.numbers)
        fm = self.items.appeal[rows.ids["item_id"]] + sum(w * numbers[name] for name, w in W_OF_NUMBERS.items())
        sum_of_v = np.zeros((len(fm), DIMENSION), np.float32)
        for name, index in rows.ids.items():
            w, v = self.fields[name]
            fm += (w - 0.5 * np.square(v).sum(axis=1))[index]  # sum_{f<g} <v_f, v_g> = (|sum v|^2 - sum |v|^2) / 2
            sum_of_v += v[index]
        fm += 0.5 * np.square(sum_of_v).sum(axis=1)
        z = numbers | {name: trait[rows.ids[name]] for name, trait in self.traits.items()}
        net = np.zeros_like(fm)
        for inputs, slopes, phase in zip(UNITS, self.slopes, self.phases, strict=True):
            net += np.sin(phase + sum(slope * z[name] for slope, name in zip(slopes, inputs, strict=True)))
        return fm, net

    def columns(self, rows: Impressions) -> dict[str, pa.Array]:
        """All columns but the row's name and its label."""
        user, numbers = rows.ids["user_id"], rows.numbers
        names = {
            **VALUES,
            "item_id": [f"item{n}" for n in range(len(self.items.appeal))],
            "advertiser_id": [f"adv{n}" for n in range(len(self.shares["advertiser_id"]))],
        }
        return {
            "user_id": pa.array(user + 1),
            "interests": _lists(self.users.interests[user], self.users.num_interests[user]),
            "hour": pa.array(rows.ids["hour"].astype(np.int8)),
            **{name: _texts(rows.ids[name], values) for name, values in names.items()},
            "num_past_views": pa.array(numbers["num_past_views"].astype(np.int32)),
            **{name: pa.array(numbers[name], from_pandas=True) for name in ("user_ctr", "price", "balance_delta")},
        }

    def _age(self, rng: np.random.Generator) -> None:
        """A night: appeals move, some users and items lose nine tenths of their popularity, new ones are born."""
        self.items.appeal[:] += APPEAL_STEP * rng.standard_normal(len(self.items.appeal))
        for ids in (self.users, self.items):
            ids.popularity[rng.random(len(ids.popularity)) < 0.03] *= 0.1
        self.num_old_users = len(self.users.popularity)
        more_users, more_items = (rng.choice(s, max(1, len(s) // 25)) for s in (self.user_shares, self.item_shares))
        self.users = _joined(self.users, self._born_users(rng, more_users))
        self.items = _joined(self.items, self._born_items(rng, more_items))

    def _born_users(self, rng: np.random.Generator, popularity: Array) -> _Users:
        count = len(popularity)
        # The order of exponential times is that of draws without replacement (Efraimidis and Spirakis 2006).
        times = rng.exponential(size=(count, len(INTERESTS))) / self.shares["interests"]
        interests = np.argsort(times)[:, :MAX_INTERESTS]
        num_interests = np.where(rng.random(count) < 0.1, NULL_LIST, rng.integers(0, MAX_INTERESTS + 1, count))
        self._grow("user_id", _embeddings(rng, "user_id", count))
        self._grow("interests", _means(self.of_interest, interests, num_interests))
        return _Users(popularity, _draw(rng, self.shares["country"], count), num_interests, interests)

    def _born_items(self, rng: np.random.Generator, popularity: Array) -> _Items:
        count = len(popularity)
        self._grow("item_id", _embeddings(rng, "item_id", count))
        return _Items(
            popularity,
            appeal=np.zeros(count),
            advertiser=_draw(rng, self.shares["advertiser_id"], count),
            category=_draw(rng, self.shares["category"], count),
            log_price=0.7 * rng.standard_normal(count),
        )

    def _grow(self, name: str, born: _Embeddings) -> None:
        self.fields[name] = _joined(self.fields[name], born) if name in self.fields else born


def _embeddings(rng: np.random.Generator, name: str, count: int) -> _Embeddings:
    of_w, of_v = DEVIATIONS[name]
    w, v = rng.standard_normal(count, np.float32), rng.standard_normal((count, DIMENSION), np.float32)
    return _Embeddings(of_w * w, of_v * v)


def _centered(field: _Embeddings, shares: Array) -> _Embeddings:
    """With mean 0 over the rows, so that <v_f, v_g> is interaction alone and worlds of other seeds are alike."""
    share = (shares / shares.sum()).astype(np.float32)
    return _Embeddings(field.w - share @ field.w, field.v - share @ field.v)


def _means(field: _Embeddings, interests: Array, num_interests: Array) -> _Embeddings:
    """Each user's mean over the interests that count; 0 for none."""
    counts = np.arange(MAX_INTERESTS) < num_interests[:, None]
    x = (counts / np.maximum(num_interests, 1)[:, None]).astype(np.float32)
    return _Embeddings((x * field.w[interests]).sum(axis=1), (x[:, :, None] * field.v[interests]).sum(axis=1))


def _scaled(numbers: dict[str, Array]) -> dict[str, Array]:
    """Numbers of deviation 1 or so, float32, 0 for null."""
    scaled = {
        "num_past_views": (np.log1p(numbers["num_past_views"]) - 1.7) / 1.2,
        "price": np.log(numbers["price"]) - 2.5,
        "balance_delta": np.arcsinh(numbers["balance_delta"] / 5.0) / 1.5,
    }
    return {name: np.nan_to_num(x).astype(np.float32) for name, x in scaled.items()}


def _zipf(count: int, exponent: float = 1.0) -> Array:
    """Shares of ranks 1, 2, ...: (rank + 3)^-exponent, summing to 1; the offset keeps any one id from ruling."""
    shares = np.power(np.arange(count) + 4.0, -exponent)
    return np.asarray(shares / shares.sum())


def _draw(rng: np.random.Generator, shares: Array, count: int) -> Array:
    """`count` indices, i with probability shares[i] / sum."""
    bounds = np.cumsum(shares)
    drawn = np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")
    return np.asarray(np.minimum(drawn, len(shares) - 1))  # rounding can reach the last bound


def sigmoid(logits: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def _intercept(logits: Array, click_rate: float) -> float:
    """The b for which sigmoid(b + logits) has mean `click_rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(middle + logits).mean() > click_rate else (middle, high)
    return low


def _texts(indices: Array, values: Sequence[str]) -> pa.Array:
    codes = pa.array(indices.astype(np.int32), mask=indices == len(values))
    return pa.DictionaryArray.from_arrays(codes, pa.array(values))


def _lists(interests: Array, num_interests: Array) -> pa.Array:
    offsets = np.append(0, np.maximum(num_interests, 0).cumsum()).astype(np.int32)
    flat = interests[np.arange(MAX_INTERESTS) < num_interests[:, None]]
    return pa.ListArray.from_arrays(offsets, _texts(flat, INTERESTS), mask=pa.array(num_interests == NULL_LIST))


Columns = TypeVar("Columns", _Embeddings, _Users, _Items)


def _joined(old: Columns, new: Columns) -> Columns:
    return type(old)(*(np.concatenate(columns) for columns in zip(old, new, strict=True)))
