"""The numbers that make one world unlike another."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

PresetName = Literal["apps"]


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
    fm_deviation: float  # of the log-odds that the factorization machine gives the rows
    net_deviation: float  # and that the net gives them

    def num_users(self, rows_per_day: int) -> int:
        return max(50, int(rows_per_day * self.users_per_row))

    def num_items(self, rows_per_day: int) -> int:
        return max(25, int(rows_per_day * self.items_per_row))


PRESETS: dict[PresetName, Preset] = {
    "apps": Preset(
        users_per_row=Fraction(1, 40),
        items_per_row=Fraction(1, 80),
        user_exponent=0.7,
        item_exponent=1.0,
        renewal_days=25,
        fading_share=0.03,
        fades_to=0.1,
        appeal_step=0.08,
        fm_deviation=1.15,
        net_deviation=1.1,
    ),
}
