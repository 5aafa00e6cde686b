"""The world behind a synthetic click log: who and what there is, and what makes it click.

A row of day d is clicked with probability sigmoid(logit), on a coin of its own:

    logit = b_d + a (sum_f w_f x_f + sum_{f<g} <v_f, v_g> + appeal_item(d)) + c sum_h sin(phi_h + sum_j W_hj z_j)

The first part is a factorization machine over all ids (the v_f of `interests` is its values' mean; numbers have w
alone); an item's appeal walks randomly over the days. In the second, every unit h mixes three inputs z: scaled numbers
and hidden traits of category, device and country. The sine of a sum of three is mostly interaction of all three: no FM
can express it, a deep net can learn it. a and c give the parts fixed deviations, b_d gives the day its click rate. The
logit depends on the row as written, nulls included: no model beats the truth but by luck.

Ids are Zipf's; every day users and items are born, and some fade or go. How many there are and which part outweighs
the other is the preset's, with its sources in `presets`: three users and a quarter of an item for each row of a day,
who stay fifteen days in the mean, and deviations of 1.5 for the first part and 0.6 for the second (`ads`); a fortieth
and an eightieth, who fade but stay, and 1.15 and 1.1 (`apps`). Day d depends on the preset, the seed, the rows a day
and d, never on how many days are drawn.
"""

import numpy as np
import pyarrow as pa

from pipeline.synthetic import impressions
from pipeline.synthetic.chance import Array, intercept
from pipeline.synthetic.clicks import Net, factorization_machine, scaled
from pipeline.synthetic.impressions import Impressions
from pipeline.synthetic.population import Population
from pipeline.synthetic.presets import PRESETS, PresetName
from pipeline.synthetic.values import Embeddings, Values

REFERENCE_ROWS = 16_384  # of each day, drawn to set a, c and b_d, and thrown away
CLICK_RATE = 0.035  # of every day; what drifts is who and what is there, and how it appeals


class World:
    """Who and what there is on the day begun last, how often it is seen, and what makes it click."""

    def __init__(self, rows_per_day: int, seed: int, preset: PresetName) -> None:
        self.seed = seed
        self.preset = PRESETS[preset]
        rng = self.rng(0, 0)
        self.values = Values(rng, self.preset.num_items(rows_per_day))
        self.net = Net(rng, self.values.shares)
        self.population = Population(rng, self.preset, rows_per_day, self.values)

    def rng(self, day: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, day, stream])

    @property
    def fields(self) -> dict[str, Embeddings]:
        """The factorization machine's rows by field; a row's interests are looked up by its user."""
        users, items = self.population.users, self.population.items
        return {
            **self.values.fields,
            "user_id": Embeddings(users.w, users.v),
            "interests": Embeddings(users.interests_w, users.interests_v),
            "item_id": Embeddings(items.w, items.v),
        }

    def begin_day(self, index: int) -> None:
        """Step on from the day before. Days must be begun in order, none left out."""
        self.day = index
        rng = self.rng(index, 1)
        if index > 0:
            self.population.age(rng)
        fm, net = self._parts(self.draw(rng, REFERENCE_ROWS))
        if index == 0:
            self.fm_scale, self.net_scale = self.preset.fm_deviation / fm.std(), self.preset.net_deviation / net.std()
        self.intercept = intercept(self.fm_scale * fm + self.net_scale * net, CLICK_RATE)

    def draw(self, rng: np.random.Generator, num_rows: int) -> Impressions:
        return impressions.draw_impressions(rng, self.population, self.values, num_rows)

    def columns(self, rows: Impressions) -> dict[str, pa.Array]:
        """All columns but the row's name and its label."""
        return impressions.columns(rows, self.population, self.values)

    def ids(self, rows: Impressions) -> dict[str, Array]:
        """By column of ids, the number of each row's id, which is no other's on any day."""
        users, items = self.population.users, self.population.items
        numbers = {"user_id": users.number[rows.ids["user_id"]], "item_id": items.number[rows.ids["item_id"]]}
        return numbers | {name: rows.ids[name] for name in ("advertiser_id", "site_id")}

    def logits(self, rows: Impressions) -> Array:
        """The true log-odds of a click, float64 [R]."""
        fm, net = self._parts(rows)
        return np.asarray(self.intercept + self.fm_scale * fm + self.net_scale * net, np.float64)

    def _parts(self, rows: Impressions) -> tuple[Array, Array]:
        """The FM and the net before they are scaled, [R] each."""
        numbers = scaled(rows.numbers)
        fm = factorization_machine(rows.ids, numbers, self.fields, self.population.items.appeal)
        return fm, self.net(rows.ids, numbers)
