from datetime import date
from math import log

import numpy as np
import pytest
from day_profiles import day_profile

from pipeline.profiles.bounds import breaches, summed_up
from pipeline.profiles.pool import pooled, pools
from pipeline.profiles.profile import DayProfile, FieldProfile
from pipeline.profiles.psi import Usual, field_psi, psi
from schemas.night import QualityConfig

DAY = date(2026, 11, 8)


def field(counts: dict[str, int], **also: object) -> FieldProfile:
    known = {"null_share": 0.0, "num_values": sum(counts.values()), "num_distinct": len(counts), "counts": counts}
    return FieldProfile.model_validate(known | also)


def profile(rows: int = 100, positives: int = 10, **fields: FieldProfile) -> DayProfile:
    return day_profile(DAY, rows, positives, fields)


def found(now: DayProfile, before: list[DayProfile], **config: object) -> list[str]:
    return [breach.of for breach in breaches(now, before, QualityConfig.model_validate(config))]


def test_psi_by_hand():
    # shares .8 and .2 now, .5 and .5 before: .3 ln(.8 / .5) - .3 ln(.2 / .5)
    assert psi(np.array([8, 2]), np.array([50, 50])) == pytest.approx(0.3 * log(1.6) - 0.3 * log(0.4))
    assert psi(np.array([3, 1]), np.array([300, 100])) == 0


def test_an_empty_bin_counts_as_the_least_share_in_the_psi():
    # shares 1 and 0 now, the latter taken as 0.0001
    by_hand = 0.5 * log(1 / 0.5) + (0.0001 - 0.5) * log(0.0001 / 0.5)
    assert psi(np.array([7, 0]), np.array([5, 5])) == pytest.approx(by_hand)


def test_a_renamed_value_shifts_a_field():
    before, now = field({"x": 40, "y": 60}), field({"x2": 40, "y": 60})
    # y stays; x falls from .4 to the least share, and x2 rises from it
    assert field_psi(now, [before]) == pytest.approx(2 * (0.4 - 0.0001) * log(0.4 / 0.0001))


def test_the_days_before_are_one_population_however_many_rows_each_has():
    before = [field({"x": 10}), field({"x": 20, "y": 30})]
    assert field_psi(field({"x": 1, "y": 1}), before) == pytest.approx(0)


def test_a_value_that_a_day_does_not_keep_is_not_taken_for_gone():
    # Of 100 values each day keeps one, of 2 rows; the other's may as well be 2.
    days = [field({value: 2}, num_values=100, num_distinct=80) for value in ("x", "y")]
    assert field_psi(days[0], [days[1]]) == pytest.approx(0)
    # But 50 of 100 rows are more than the 2 that the rarest kept value has: .5 to .02, x2 .02 to .5.
    heavy = [field({value: 50, "z": 2}, num_values=100, num_distinct=30) for value in ("x", "x2")]
    assert field_psi(heavy[0], [heavy[1]]) == pytest.approx(2 * 0.48 * log(0.5 / 0.02))


def test_numbers_are_held_against_each_other_in_the_bins_that_all_days_share():
    # With 1 leading bit 4 and 5 are in a bin, 6 and 7 in another; of 0 bits all four are in one.
    fine = field({"4.0": 1, "6.0": 3}, number_bits=1)
    coarse = field({"4.0": 4}, number_bits=0)
    assert field_psi(fine, [coarse]) == 0
    shifted = field({"4.0": 1, "5.0": 1, "6.0": 1, "7.0": 1}, number_bits=2)
    # 1/4 and 3/4 now, halves before
    assert field_psi(fine, [shifted]) == pytest.approx(-0.25 * log(0.5) + 0.25 * log(1.5))


def test_a_field_without_values_has_no_psi():
    assert field_psi(field({}), [field({"x": 1})]) is None
    assert field_psi(field({"x": 1}), [field({})]) is None
    assert field_psi(field({"x": 1}), []) is None


def test_a_day_like_those_before_breaks_nothing():
    day = profile(site=field({"x": 90, "y": 10}, unseen_share=0.0))
    assert found(day, [day, day], max_unseen_share=0.1) == []


@pytest.mark.parametrize(
    ("now", "config", "what"),
    [
        (profile(rows=24), {"label_rate_ratio": None}, ["rows"]),
        (profile(rows=25), {"label_rate_ratio": None}, []),
        (profile(rows=401, positives=40), {}, ["rows"]),
        (profile(rows=401, positives=40), {"rows_ratio": None}, []),
        (profile(positives=21), {}, ["label rate"]),
        (profile(positives=20), {}, []),
        (profile(positives=4), {}, ["label rate"]),
        (profile(positives=4), {"label_rate_ratio": None}, []),
        (profile(rows=99), {"min_rows": 100}, ["rows"]),
    ],
)
def test_rows_and_label_rate_are_bound_by_a_hundred_rows_with_ten_clicks(now, config, what):
    assert found(now, [profile(rows=50, positives=2), profile(rows=150, positives=18)], **config) == what


def test_what_is_usual_by_hand():
    assert Usual.of([1.0, 3.0]) is None
    assert Usual.of([1.0, 2.0, 3.0]) == Usual(2.0, 1.0)
    assert Usual.of([2.0, 2.0, 2.0]) == Usual(2.0, 0.2), "a tenth of the mean, at least"


def test_only_what_is_broken_may_stop_a_night():
    before = profile(site=field({"x": 90, "y": 10}))
    strange = profile(site=field({"x": 10, "y": 65}, null_share=0.25, unseen_share=0.5))
    told = breaches(strange, [before], QualityConfig(max_unseen_share=0.4))
    assert [(breach.kind, breach.what.split()[0]) for breach in told] == [
        ("unusual", "unseen"),
        ("unusual", "nulls"),
        ("unusual", "values"),
    ]
    empty = profile(site=field({"x": 1}, null_share=0.95))
    assert [breach.kind for breach in breaches(empty, [before], QualityConfig(max_psi=None))] == ["broken"]


def test_a_column_that_was_nearly_empty_may_stay_so():
    days = [profile(site=field({"x": 5}, null_share=0.95)), profile(site=field({"x": 4}, null_share=0.96))]
    assert breaches(days[1], days[:1], QualityConfig()) == []


def test_values_that_no_day_before_has_are_one_bin_and_those_beyond_the_commonest_another():
    # 100 values of 2 rows, 60 of 1 beyond them; today half of the commonest are other ones, of one row more together.
    before = field({f"v{n:03}": 2 for n in range(100)}, num_values=260)
    now = field({f"v{n:03}": 2 for n in range(50)} | {f"new{n}": 2 for n in range(50)}, num_values=260)
    # Each absent value may occur as often as what is beyond allows: 60 / 50 of today's, 60 / 50 of those before.
    gone = 50 * (1.2 - 2) / 260 * log(1.2 / 2)
    came = (100 - 60) / 260 * log(100 / 60)
    assert field_psi(now, [before]) == pytest.approx(gone + came)


@pytest.mark.parametrize("positives", [0, 100])
def test_a_day_of_one_class_is_a_breach_with_or_without_days_before_it(positives):
    assert found(profile(positives=positives), []) == ["label rate"]
    assert found(profile(positives=positives), [profile()], label_rate_ratio=None) == ["label rate"]


def test_without_days_before_only_absolute_bounds_hold():
    day = profile(rows=8, positives=1, site=field({"x": 8}, null_share=0.9, unseen_share=0.5))
    assert found(day, []) == []
    assert found(day, [], min_rows=9, max_unseen_share=0.4) == ["rows", "unseen values of 'site'"]


def test_days_without_rows_bound_nothing():
    empty = profile(rows=0, positives=0, site=field({}))
    assert found(profile(site=field({"x": 1})), [empty]) == []
    assert found(empty, [profile()]) == ["rows", "rows", "label rate"]


def test_nulls_may_increase_by_so_much_over_those_of_all_rows_before():
    # 90 rows with .1 and 10 with .6 are 100 with .15
    before = [
        profile(90, 9, site=field({"x": 81}, null_share=0.1)),
        profile(10, 1, site=field({"x": 4}, null_share=0.6)),
    ]
    now = [profile(site=field({"x": 1}, null_share=share)) for share in (0.34, 0.36)]
    rows = {"rows_ratio": None}
    assert found(now[0], before, **rows) == []
    assert found(now[1], before, **rows) == ["nulls of 'site'"]
    assert found(now[1], before, max_null_increase=None, **rows) == []


def test_a_shifted_field_is_named_with_its_psi_and_bound():
    before, now = profile(site=field({"x": 90, "y": 10})), profile(site=field({"x": 10, "y": 90}))
    (breach,) = breaches(now, [before], QualityConfig(max_psi=1.0))
    assert 0.8 * log(9) * 2 == pytest.approx(3.516, abs=1e-3)
    assert breach.words == (
        "2026-11-08: values of 'site': PSI 3.52 against 1 trailing day; expected at most 1 (night.quality.max_psi: 1.0)"
    )
    assert breaches(now, [before], QualityConfig(max_psi=None)) == []


def test_every_breach_names_the_key_of_its_bound_but_for_a_day_of_one_class():
    config = QualityConfig(min_rows=50, max_unseen_share=0.4)
    before = [profile(rows=1000, positives=100, site=field({"x": 500, "y": 500}))] * 3
    few = profile(rows=20, positives=9, site=field({"x": 10, "z": 10}, null_share=0.3, unseen_share=0.5))
    told = {breach.of: breach.key for breach in breaches(few, before, config)}
    assert told == {
        "rows": "night.quality.rows_ratio: [0.25, 4.0]",  # and, before that, min_rows
        "clicks": "night.quality.rows_ratio: [0.25, 4.0]",
        "label rate": "night.quality.label_rate_ratio: [0.5, 2.0]",
        "unseen values of 'site'": "night.quality.max_unseen_share: 0.4",
        "nulls of 'site'": "night.quality.max_null_increase: 0.2",
        "values of 'site'": "night.quality.max_psi: 0.5",
    }
    assert breaches(few, before, config)[0].words == (
        "2026-11-08: rows: 20; expected at least 50 (night.quality.min_rows: 50)"
    )
    (one_class,) = breaches(profile(positives=0), [], QualityConfig())
    assert (one_class.key, one_class.words[-1]) == ("", "k")
    (off,) = breaches(profile(rows=200, positives=20), [profile()] * 3, QualityConfig())
    assert off.key == "night.quality.usual_spreads: 4.0"


def test_a_pool_of_days_is_held_against_pools_of_as_many_days_before_it():
    days = [profile(rows=10, positives=positives) for positives in (1, 2, 0, 1, 2, 0, 1, 0)]
    new, before = pooled(days[6:]), pools(days[:6], 2)
    assert [(pool.rows, pool.positives, pool.num_days) for pool in before] == [(20, 3, 2), (20, 1, 2), (20, 2, 2)]
    assert breaches(new, before, QualityConfig()) == [], "the day without a click is none by itself"
    (breach,) = breaches(new, before, QualityConfig(label_rate_ratio=(0.9, 1.1), rows_ratio=None))
    assert breach.words == (
        "2026-11-08 to 2026-11-08: label rate: 0.05, 0.5 times the 0.1 of 3 trailing pools of 2 days; "
        "expected between 0.9 and 1.1 times (night.quality.label_rate_ratio: [0.9, 1.1])"
    )


def test_a_hundred_breaches_are_summed_up_by_rule_and_field_in_ten_short_lines():
    names = [f"column_{number:03}" for number in range(100)]
    before = profile(**{name: field({"x": 90, "y": 10}) for name in names})
    strange = {name: field({"x": 10, "z": 65}, null_share=0.25, unseen_share=0.5) for name in names}
    strange |= {name: field({"x": 1}, null_share=0.99) for name in names[:20]}
    config = QualityConfig(min_rows=200, max_unseen_share=0.4)
    found = breaches(profile(rows=20, positives=9, **strange), [before] * 3, config)
    assert len(found) > 250
    lines = summed_up(found)
    assert len(lines) == 6
    assert len("; ".join(lines)) < 2_000
    assert lines[0] == (
        "2026-11-08: rows: 20; expected at least 200 (night.quality.min_rows: 200); 20, 0.2 times the 100 of 3 "
        "trailing days; expected between 0.25 and 4 times (night.quality.rows_ratio: [0.25, 4.0])"
    )
    (of_nulls,) = [line for line in lines if "min_filled_ratio" in line]
    assert of_nulls.startswith("2026-11-08: nulls of 'column_000': 99.00% of the rows, 0.00% in 3 trailing days;")
    assert of_nulls.endswith("; so are 'column_001', 'column_002', 'column_003' and 16 more fields")
    assert summed_up(found[:1]) == (found[0].words,), "what is alone is said as it is"
