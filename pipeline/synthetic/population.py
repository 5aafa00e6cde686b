"""Users and items: how many there are, what each is like, who comes and who goes."""

import math
from typing import NamedTuple, TypeVar

import numpy as np

from pipeline.synthetic.chance import Array, draw, zipf
from pipeline.synthetic.presets import Preset
from pipeline.synthetic.values import Embeddings, Values, embeddings

MAX_INTERESTS = 6
USERS_AT_ONCE = 65_536
NULL_LIST = -1  # the number of interests of a user whose list is null


class Users(NamedTuple):
    """Users in the order of birth."""

    number: Array  # by which the log calls them, from 0
    popularity: Array
    country: Array
    num_interests: Array
    interests: Array  # [n, MAX_INTERESTS], of which the first num_interests count
    w: Array
    v: Array
    interests_w: Array  # mean over the user's interests
    interests_v: Array


class Items(NamedTuple):
    """Items in the order of birth."""

    number: Array
    popularity: Array
    advertiser: Array
    category: Array
    log_price: Array
    appeal: Array
    w: Array
    v: Array


class Population:
    """Who and what there is on the day reached by `age`."""

    def __init__(self, rng: np.random.Generator, preset: Preset, rows_per_day: int, values: Values) -> None:
        self.preset, self._values = preset, values
        self._user_shares = zipf(preset.num_users(rows_per_day), preset.user_exponent)
        self._item_shares = zipf(preset.num_items(rows_per_day), preset.item_exponent)
        self._num_users = self._num_items = 0  # that ever were
        self.users = self._born_users(rng, self._user_shares.copy())
        self.items = self._born_items(rng, self._item_shares.copy())
        self.num_old_users = len(self.users.number)

    def age(self, rng: np.random.Generator) -> None:
        """A night: appeals move, some users and items fade or go, others are born."""
        self.items.appeal[:] += self.preset.appeal_step * rng.standard_normal(len(self.items.appeal))
        for ids in (self.users, self.items):
            ids.popularity[rng.random(len(ids.popularity)) < self.preset.fading_share] *= self.preset.fades_to
        self.users, self.items = _present(self.users), _present(self.items)
        self.num_old_users = len(self.users.number)
        more_users, more_items = (
            rng.choice(shares, max(1, len(shares) // self.preset.renewal_days))
            for shares in (self._user_shares, self._item_shares)
        )
        self.users = _joined(self.users, self._born_users(rng, more_users))
        self.items = _joined(self.items, self._born_items(rng, more_items))

    def _born_users(self, rng: np.random.Generator, popularity: Array) -> Users:
        count = len(popularity)
        interests = _six_interests(rng, self._values.shares["interests"], count)
        num_interests = np.where(rng.random(count) < 0.1, NULL_LIST, rng.integers(0, MAX_INTERESTS + 1, count))
        w, v = embeddings(rng, "user_id", count)
        interests_w, interests_v = _means(self._values.fields["interests"], interests, num_interests)
        self._num_users += count
        return Users(
            number=np.arange(self._num_users - count, self._num_users),
            popularity=popularity,
            country=draw(rng, self._values.shares["country"], count),
            num_interests=num_interests,
            interests=interests,
            w=w,
            v=v,
            interests_w=interests_w,
            interests_v=interests_v,
        )

    def _born_items(self, rng: np.random.Generator, popularity: Array) -> Items:
        count = len(popularity)
        w, v = embeddings(rng, "item_id", count)
        self._num_items += count
        return Items(
            number=np.arange(self._num_items - count, self._num_items),
            popularity=popularity,
            advertiser=draw(rng, self._values.shares["advertiser_id"], count),
            category=draw(rng, self._values.shares["category"], count),
            log_price=0.7 * rng.standard_normal(count),
            appeal=np.zeros(count),
            w=w,
            v=v,
        )


def _six_interests(rng: np.random.Generator, shares: Array, count: int) -> Array:
    """MAX_INTERESTS different ones for each user, likelier ones first.  [count, MAX_INTERESTS]"""
    drawn = np.empty((count, MAX_INTERESTS), np.int8)
    for some in np.array_split(drawn, math.ceil(count / USERS_AT_ONCE)):
        # The order of exponential times is that of draws without replacement (Efraimidis and Spirakis 2006).
        times = rng.exponential(size=(len(some), len(shares))) / shares
        some[:] = np.argsort(times)[:, :MAX_INTERESTS]
    return drawn


def _means(field: Embeddings, interests: Array, num_interests: Array) -> Embeddings:
    """Each user's mean over the interests that count; 0 for none."""
    counts = np.arange(MAX_INTERESTS) < num_interests[:, None]
    x = (counts / np.maximum(num_interests, 1)[:, None]).astype(np.float32)
    w, v = np.zeros(len(x), np.float32), np.zeros((len(x), field.v.shape[1]), np.float32)
    for x_of_one, interest in zip(x.T, interests.T, strict=True):
        w += x_of_one * field.w[interest]
        v += x_of_one[:, None] * field.v[interest]
    return Embeddings(w, v)


Columns = TypeVar("Columns", Users, Items)


def _joined(old: Columns, new: Columns) -> Columns:
    return type(old)(*(np.concatenate(columns) for columns in zip(old, new, strict=True)))


def _present(ids: Columns) -> Columns:
    """Those whom anything is left of."""
    present = ids.popularity > 0
    return ids if present.all() else type(ids)(*(column[present] for column in ids))
