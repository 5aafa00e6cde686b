"""A click log drawn from a known truth, so that what a model learned can be held against what there was to learn.

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

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from pipeline.data import files
from schemas.features import FROZEN
from schemas.refusal import Refusal

Array = NDArray[Any]

FIRST_DATE = date(2026, 11, 1)
ROWS_PER_PART = 500_000
ROWS_PER_GROUP = 65_536
REFERENCE_ROWS = 16_384  # of each day, drawn to set a, c and b_d, and thrown away
LEAST_ROWS_PER_DAY = 100

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
UNITS = (
    ("category", "device", "country"),
    ("device", "price", "balance_delta"),
    ("category", "hour", "num_past_views"),
)
FM_DEVIATION, NET_DEVIATION = 1.15, 1.1
APPEAL_STEP = 0.08


class DayTruth(BaseModel):
    """One day as drawn. Where no row or every row is clicked, what is undefined is None."""

    model_config = FROZEN
    date: date
    rows: int = Field(description="impressions")
    clicks: int = Field(description="rows with click = 1")
    click_rate: float = Field(description="clicks / rows")
    expected_click_rate: float = Field(description="mean of the true probabilities")
    log_loss: float = Field(description="of the true probabilities on the labels drawn, nats a row: the best possible")
    expected_log_loss: float = Field(description="mean entropy of the true probabilities: log_loss without the luck")
    ne: float | None = Field(description="log_loss / entropy of click_rate: the best possible normalized entropy")
    auc: float | None = Field(description="of the true probabilities on the labels drawn, exact: the best possible")


class Truth(BaseModel):
    """truth.json: the arguments of `generate`, what the figures are, and the days written so far."""

    model_config = FROZEN
    seed: int
    rows_per_day: int
    first_date: date
    num_days: int
    legend: dict[str, str] = {name: field.description or name for name, field in DayTruth.model_fields.items()}
    days: tuple[DayTruth, ...] = ()

    def arguments(self) -> str:
        return f"{self.num_days} days from {self.first_date}, {self.rows_per_day} rows a day, seed {self.seed}"


def generate(out_uri: str, days: int, rows_per_day: int, seed: int, first_date: date = FIRST_DATE) -> Truth:
    """Write `out_uri/date=YYYY-MM-DD/part-N.parquet` and `out_uri/truth.json`; the same log complete is left as it is.

    truth.json is written anew after every day, so a call that was cut short goes on after the last whole one. Memory:
    one part, about 200 MB; about 50 bytes a row of the day; some hundred a user and item.
    Raises Refusal for arguments out of range and where other days lie already; nothing is written then.
    """
    least = {"days": 1, "rows_per_day": LEAST_ROWS_PER_DAY, "seed": 0}
    for name, value in {"days": days, "rows_per_day": rows_per_day, "seed": seed}.items():
        if value < least[name]:
            raise Refusal(
                found=f"{name} {value}",
                expected=f"{least[name]} or more",
                where="the arguments of generate",
                remedy=f"raise {name}",
            )
    root = out_uri.rstrip("/")
    truth = _written_so_far(root, Truth(seed=seed, rows_per_day=rows_per_day, first_date=first_date, num_days=days))
    if len(truth.days) == days:
        return truth
    _write_truth(root, truth)
    world = World(rows_per_day, seed)
    for index in range(days):
        world.begin_day(index)
        if index < len(truth.days):
            continue
        day = _write_day(root, world, index, first_date + timedelta(index), rows_per_day)
        truth = truth.model_copy(update={"days": (*truth.days, day)})
        _write_truth(root, truth)
    return truth


def auc(of_clicks: Array, of_others: Array) -> float:
    """P(a click outscores a row without one), exact, ties count half (Mann and Whitney 1947)."""
    others = np.sort(of_others)
    below, not_above = np.searchsorted(others, of_clicks, "left"), np.searchsorted(others, of_clicks, "right")
    return float((below + not_above).sum() / (2.0 * len(of_clicks) * len(others)))


def _written_so_far(root: str, wanted: Truth) -> Truth:
    fs, path = fsspec.core.url_to_fs(root)
    if files.exists(f"{root}/truth.json"):
        try:
            truth = Truth.model_validate_json(files.read_bytes(f"{root}/truth.json"))
        except ValidationError:
            found = "a truth.json that `generate` did not write"
        else:
            if truth.arguments() == wanted.arguments():
                return truth
            found = truth.arguments()
    elif fs.glob(f"{path}/date=*"):
        found = "days without a truth.json"
    else:
        return wanted
    raise Refusal(
        found=found,
        expected=f"no days yet, or {wanted.arguments()}",
        where=root,
        remedy="choose another folder, or remove this one if nobody needs it",
    )


def _write_truth(root: str, truth: Truth) -> None:
    files.write_bytes(f"{root}/truth.json", (truth.model_dump_json(indent=1) + "\n").encode())


def _write_day(root: str, world: "World", index: int, day: date, num_rows: int) -> DayTruth:
    folder = f"{root}/date={day}"
    logits, clicks = [], []
    for part, start in enumerate(range(0, num_rows, ROWS_PER_PART)):
        rng = world.rng(index, 2 + part)
        rows = world.draw(rng, min(ROWS_PER_PART, num_rows - start))
        logits.append(world.logits(rows))
        clicks.append(rng.random(len(logits[-1])) < _sigmoid(logits[-1]))
        row_ids = int(f"{day:%Y%m%d}") * 10**10 + start + np.arange(len(logits[-1]))
        table = pa.table({"row_id": row_ids, "click": clicks[-1].astype(np.int8), **world.columns(rows)})
        sink = pa.BufferOutputStream()
        # Without the Arrow schema in the footer, what is written from dictionaries is read as plain strings.
        pq.write_table(table, sink, row_group_size=ROWS_PER_GROUP, store_schema=False)
        files.write_bytes(f"{folder}/part-{part}.parquet", sink.getvalue().to_pybytes())
    files.write_bytes(f"{folder}/_SUCCESS", b"")
    return _day_truth(day, np.concatenate(logits), np.concatenate(clicks))


def _day_truth(day: date, logits: Array, clicks: Array) -> DayTruth:
    p, rate = _sigmoid(logits), float(clicks.mean())
    nats_of_no_click = np.logaddexp(0.0, logits)
    log_loss = float((nats_of_no_click - clicks * logits).mean())
    has_both = 0 < rate < 1
    return DayTruth(
        date=day,
        rows=len(clicks),
        clicks=int(clicks.sum()),
        click_rate=rate,
        expected_click_rate=float(p.mean()),
        log_loss=log_loss,
        expected_log_loss=float((nats_of_no_click - p * logits).mean()),
        ne=-log_loss / (rate * math.log(rate) + (1 - rate) * math.log1p(-rate)) if has_both else None,
        auc=auc(logits[clicks], logits[~clicks]) if has_both else None,
    )


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
        self.users, self.items = (
            self._born_users(rng, self.user_shares.copy()),
            self._born_items(rng, self.item_shares.copy()),
        )
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
        click_rate = 0.035 + 0.007 * math.sin(2 * math.pi * index / 7)
        self.intercept = _intercept(self.fm_scale * fm + self.net_scale * net, click_rate)

    def draw(self, rng: np.random.Generator, num_rows: int) -> Impressions:
        user, item = _draw(rng, self.users.popularity, num_rows), _draw(rng, self.items.popularity, num_rows)
        noise, hidden = rng.standard_normal((5, num_rows)), rng.random((2, num_rows))
        views = np.floor(np.exp(1.5 + 1.3 * noise[0])) * (user < self.num_old_users)
        ctr = _sigmoid(-3.3 + 2.0 * self.fields["user_id"].w[user] + 0.3 * noise[1])
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
    shares: Array = (np.arange(count) + 4.0) ** -exponent
    return shares / shares.sum()


def _draw(rng: np.random.Generator, shares: Array, count: int) -> Array:
    """`count` indices, i with probability shares[i] / sum."""
    bounds = np.cumsum(shares)
    drawn = np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")
    return np.minimum(drawn, len(shares) - 1)  # rounding can reach the last bound


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def _intercept(logits: Array, click_rate: float) -> float:
    """The b for which sigmoid(b + logits) has mean `click_rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _sigmoid(middle + logits).mean() > click_rate else (middle, high)
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
