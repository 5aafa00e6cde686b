"""Users and items: how many there are, what each is like, who comes and who goes."""

from typing import NamedTuple, TypeVar

import numpy as np

from pipeline.synthetic.chance import Array, draw, zipf
from pipeline.synthetic.presets import Preset
from pipeline.synthetic.values import INTERESTS, Embeddings, Values, embeddings

MAX_INTERESTS = 6
NULL_LIST = -1  # the number of interests of a user whose list is null


class Users(NamedTuple):
    """Users in the order of birth."""

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
        self._preset, self._values = preset, values
        self._user_shares = zipf(preset.num_users(rows_per_day), preset.user_exponent)
        self._item_shares = zipf(preset.num_items(rows_per_day), preset.item_exponent)
        self.users = self._born_users(rng, self._user_shares.copy())
        self.items = self._born_items(rng, self._item_shares.copy())
        self.num_old_users = len(self._user_shares)

    def age(self, rng: np.random.Generator) -> None:
        """A night: appeals move, some users and items lose popularity, others are born."""
        self.items.appeal[:] += self._preset.appeal_step * rng.standard_normal(len(self.items.appeal))
        for ids in (self.users, self.items):
            ids.popularity[rng.random(len(ids.popularity)) < self._preset.fading_share] *= self._preset.fades_to
        self.num_old_users = len(self.users.popularity)
        more_users, more_items = (
            rng.choice(shares, max(1, len(shares) // self._preset.renewal_days))
            for shares in (self._user_shares, self._item_shares)
        )
        self.users = _joined(self.users, self._born_users(rng, more_users))
        self.items = _joined(self.items, self._born_items(rng, more_items))

    def _born_users(self, rng: np.random.Generator, popularity: Array) -> Users:
        count = len(popularity)
        # The order of exponential times is that of draws without replacement (Efraimidis and Spirakis 2006).
        times = rng.exponential(size=(count, len(INTERESTS))) / self._values.shares["interests"]
        interests = np.argsort(times)[:, :MAX_INTERESTS]
        num_interests = np.where(rng.random(count) < 0.1, NULL_LIST, rng.integers(0, MAX_INTERESTS + 1, count))
        w, v = embeddings(rng, "user_id", count)
        of_interests = _means(self._values.fields["interests"], interests, num_interests)
        country = draw(rng, self._values.shares["country"], count)
        return Users(popularity, country, num_interests, interests, w, v, of_interests.w, of_interests.v)

    def _born_items(self, rng: np.random.Generator, popularity: Array) -> Items:
        count = len(popularity)
        w, v = embeddings(rng, "item_id", count)
        return Items(
            popularity,
            advertiser=draw(rng, self._values.shares["advertiser_id"], count),
            category=draw(rng, self._values.shares["category"], count),
            log_price=0.7 * rng.standard_normal(count),
            appeal=np.zeros(count),
            w=w,
            v=v,
        )


def _means(field: Embeddings, interests: Array, num_interests: Array) -> Embeddings:
    """Each user's mean over the interests that count; 0 for none."""
    counts = np.arange(MAX_INTERESTS) < num_interests[:, None]
    x = (counts / np.maximum(num_interests, 1)[:, None]).astype(np.float32)
    return Embeddings((x * field.w[interests]).sum(axis=1), (x[:, :, None] * field.v[interests]).sum(axis=1))


Columns = TypeVar("Columns", Users, Items)


def _joined(old: Columns, new: Columns) -> Columns:
    return type(old)(*(np.concatenate(columns) for columns in zip(old, new, strict=True)))
