"""The numbers that make one world unlike another.

`ads` has the ids of public ad logs: Criteo's has some 34 M different values in 45.8 M rows of 39 fields, Avazu's 9.4 M
in 40.4 M rows, most of them a device or an address that fewer than ten rows have and that soon is seen no more. Here
users, three for each row of a day, and items, one for each four, stay fifteen days in the mean. After thirty days that
makes 0.23 values a row, Avazu's share, 87% of them in under ten rows; two of three rows show a user whom fewer than
ten rows of the days before have shown. A user's own click rate is an estimate from few views. The factorization
machine outweighs the net: on the boards of BARS, FM's log loss is .4491 on Criteo and .3677 on Avazu, the best net's
.4381 and .3667. Here, one pass over thirty days, DeepFM's lies 1.3% to 2.4% below FM's at 50,000 rows a day and 3.3%
at 200,000 (2026-11-27).

`apps` is a shop of apps, or any log of few users and items who stay: after some days all values have hundreds of rows.
Half of what there is to learn is the net's.

Numbers of users and items go with the rows a day, so that ids are as sparse in a small log as in a large one.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

PresetName = Literal["ads", "apps"]
DEFAULT: PresetName = "ads"  # what is tried on a log like those of ads holds on more logs than what is tried on apps


@dataclass(frozen=True, slots=True)
class Preset:
    """How many users and items there are and for how long, and what weighs how much in a click's log-odds."""

    users_per_row: Fraction  # how many there are, for each row of a day
    items_per_row: Fraction
    user_exponent: float  # of Zipf's law: the greater, the fewer make most of the rows
    item_exponent: float
    renewal_days: int  # so many days bring as many new users and items as there were on the first
    fading_share: float  # of users and of items, from one day to the next
    fades_to: float  # what is left of their popularity
    appeal_step: float  # an item's appeal walks randomly, so far a day
    ctr_noise: float  # in the log-odds of `user_ctr`, which are the user's w, doubled, but for it
    fm_deviation: float  # of the log-odds that the factorization machine gives the rows
    net_deviation: float  # and that the net gives them

    def num_users(self, rows_per_day: int) -> int:
        return max(50, int(rows_per_day * self.users_per_row))

    def num_items(self, rows_per_day: int) -> int:
        return max(25, int(rows_per_day * self.items_per_row))


PRESETS: dict[PresetName, Preset] = {
    "ads": Preset(
        users_per_row=Fraction(3),
        items_per_row=Fraction(1, 4),
        user_exponent=0.7,
        item_exponent=1.0,
        renewal_days=15,
        fading_share=1 / 15,
        fades_to=0.0,
        appeal_step=0.08,
        ctr_noise=1.2,
        fm_deviation=1.5,
        net_deviation=0.6,
    ),
    "apps": Preset(
        users_per_row=Fraction(1, 40),
        items_per_row=Fraction(1, 80),
        user_exponent=0.7,
        item_exponent=1.0,
        renewal_days=25,
        fading_share=0.03,
        fades_to=0.1,
        appeal_step=0.08,
        ctr_noise=0.3,
        fm_deviation=1.15,
        net_deviation=1.1,
    ),
}
