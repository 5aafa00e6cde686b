"""Thirty days of a log whose items come and go: good nights pass, and what is really broken or strange is caught."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pytest
from day_profiles import day_profile

from pipeline.profiles.bounds import Breach, breaches
from pipeline.profiles.profile import DayProfile, FieldProfile
from pipeline.profiles.psi import field_psi
from pipeline.profiles.tallies import MAX_COUNTS
from schemas.night import QualityConfig

NUM_DAYS, ROWS = 30, 20_000
RISING = 0.01  # of the items, each day
CONFIG = QualityConfig()


def field(values: np.ndarray, counts: np.ndarray) -> FieldProfile:
    top = [int(place) for place in np.argsort(-counts, kind="stable")[:MAX_COUNTS] if counts[place]]
    return FieldProfile(
        null_share=0.0,
        num_values=int(counts.sum()),
        num_distinct=int((counts > 0).sum()),
        counts={str(values[place]): int(counts[place]) for place in top},
    )


@dataclass
class World:
    """Few items, of which some are other ones the next day; many users, and four sites, which stay."""

    draw: np.random.Generator
    fading: float
    """Share of the items, each day."""

    def days(self) -> list[DayProfile]:
        draw, days = self.draw, []
        popular = draw.lognormal(0, 0.3, 120)
        items = np.arange(len(popular))
        for number in range(NUM_DAYS):
            rows = int(ROWS * draw.normal(1, 0.02))
            shares = {"item": popular, "user": 1 / np.arange(1, 5001) ** 0.7, "site": np.array([4.0, 3, 2, 1])}
            counts = {name: draw.multinomial(rows, share / share.sum()) for name, share in shares.items()}
            values = {"item": items, "user": np.arange(5000), "site": np.arange(4)}
            fields = {name: field(values[name], counts[name]) for name in shares}
            days.append(profile(number, rows, int(rows * 0.05 * draw.normal(1, 0.05)), fields))
            is_new = draw.random(len(items)) < self.fading
            items = np.where(is_new, items.max() + 1 + np.arange(len(items)), items)
            popular = np.where(is_new, draw.lognormal(0, 0.3, len(items)), popular)
            popular = np.where(draw.random(len(items)) < RISING, 2 * popular, popular)
        return days


def profile(number: int, rows: int, positives: int, fields: dict[str, FieldProfile]) -> DayProfile:
    return day_profile(date(2026, 11, 1) + timedelta(number), rows, positives, fields)


@pytest.fixture(scope="module")
def days() -> list[DayProfile]:
    return World(np.random.default_rng(0), fading=0.25).days()


def found(days: list[DayProfile], **changes: object) -> list[Breach]:
    """Of the last day with these changes, against all before it."""
    return breaches(days[-1].model_copy(update=changes), days[:-1], CONFIG)


def night_by_night(days: list[DayProfile], first: int, config: QualityConfig) -> list[Breach]:
    return [one for number in range(first, len(days)) for one in breaches(days[number], days[:number], config)]


def with_item(days: list[DayProfile], item: FieldProfile) -> dict[str, object]:
    return {"fields": {**days[-1].fields, "item": item}}


def kinds(found: list[Breach]) -> set[tuple[str, str]]:
    return {(breach.kind, breach.of) for breach in found}


def test_good_nights_pass_though_items_are_others_by_more_than_any_fixed_bound(days):
    shifts = [
        field_psi(days[n].fields["item"], [day.fields["item"] for day in days[n - 7 : n]]) for n in range(7, NUM_DAYS)
    ]
    assert np.quantile([shift for shift in shifts if shift is not None], 0.25) > CONFIG.max_psi
    assert night_by_night(days, 4, CONFIG) == [], "before, nobody knows what is usual"
    assert len(night_by_night(days, 4, QualityConfig(usual_spreads=None))) > NUM_DAYS / 2


@pytest.mark.parametrize("seed", range(3))
def test_every_night_passes_where_items_rise_by_1_and_fade_by_3_percent_a_day(seed):
    days = World(np.random.default_rng(seed), fading=0.03).days()
    assert night_by_night(days, 1, CONFIG) == []


def test_the_first_night_of_a_log_that_is_older_passes_too(days):
    """Of the days before its trailing ones nobody has made profiles."""
    for number in range(7, NUM_DAYS):
        assert breaches(days[number], days[number - 7 : number], CONFIG) == [], number


def test_another_fields_values_are_caught(days):
    assert kinds(found(days, **with_item(days, days[-1].fields["user"]))) == {("unusual", "values of 'item'")}


def test_a_constant_column_is_caught(days):
    commonest = next(iter(days[-1].fields["item"].counts))
    constant = FieldProfile(null_share=0.0, num_values=ROWS, num_distinct=1, counts={commonest: ROWS})
    assert kinds(found(days, **with_item(days, constant))) == {("unusual", "values of 'item'")}


def test_an_emptied_column_is_broken(days):
    empty = FieldProfile(null_share=1.0, num_values=0, num_distinct=0, counts={})
    assert kinds(found(days, **with_item(days, empty))) == {("broken", "nulls of 'item'")}


@pytest.mark.parametrize(("share", "kind"), [(0.5, "unusual"), (0.2, "broken")])
def test_missing_rows_are_caught_and_of_a_fraction_the_day_is_broken(days, share, kind):
    rows = int(ROWS * share)
    assert (kind, "rows") in kinds(found(days, rows=rows, positives=rows // 20))


def test_missing_clicks_are_broken_where_their_share_is_let_be():
    before = [profile(number, 1000, 100, {}) for number in range(7)]
    found = breaches(profile(7, 990, 20, {}), before, QualityConfig(label_rate_ratio=None))
    assert kinds(found) == {("broken", "clicks")}


def test_a_shift_is_told_with_what_is_usual(days):
    (breach,) = found(days, **with_item(days, days[-1].fields["user"]))
    assert breach.expected.startswith("at most ")
    assert "is usual" in breach.expected
