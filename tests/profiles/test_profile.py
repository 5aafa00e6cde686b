from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click_logs import click_rows

from pipeline.data import vocabulary
from pipeline.data.quality import bad_rows, sound_rows
from pipeline.profiles.profile import DayProfile, FieldProfile, coarsen, summarize, with_unseen_shares
from pipeline.profiles.tallies import MAX_COUNTS, DayTallies, counted_values, tally
from schemas.features import FeatureSpec

DAY = date(2026, 11, 1)


def profile_of(rows: pa.Table, spec: FeatureSpec, parts: int = 1) -> DayProfile:
    """The profile of rows that are tallied in several parts."""
    bounds = np.linspace(0, len(rows), parts + 1).astype(int)
    tables = [rows.slice(start, end - start) for start, end in pairwise(bounds)]
    tallies = [tally(sound_rows(table, spec, "", 0.9), bad_rows(table, spec), spec) for table in tables]
    return summarize(vocabulary.merge(pa.concat_tables(tallies)), DAY, spec, "log", "spec")


def numbers(values: list[float]) -> FieldProfile:
    spec = FeatureSpec.model_validate({"label": "y", "fields": [{"name": "x", "kind": "numeric"}]})
    return profile_of(pa.table({"x": pa.array(values, pa.float64()), "y": [0] * len(values)}), spec).fields["x"]


def test_a_day_is_profiled_by_hand(rows, spec):
    day = profile_of(rows, spec)
    assert (day.rows, day.positives, day.bad_rows, day.bad_by_reason) == (8, 2, 0, {})
    user, site, tags, age, views, price = day.fields.values()
    assert (user.null_share, user.num_values, user.num_distinct) == (1 / 8, 7, 3)
    assert list(user.counts.items()) == [("ann", 4), ("bob", 2), ("cat", 1)]
    assert site.counts == {"x": 4, "y": 2, "z": 1}, "a hash's values are counted here"
    assert (tags.null_share, tags.num_values) == (2 / 8, 9), "an empty list is missing, and so is none"
    assert tags.counts == {"a": 5, "b": 3, "c": 1}
    assert (age.null_share, age.num_distinct) == (1 / 8, 4)
    assert age.quantiles == {"min": 20, "1%": 20, "25%": 20, "50%": 30, "75%": 40, "99%": 50, "max": 50}
    assert views.quantiles is not None
    assert (views.quantiles["min"], views.quantiles["max"]) == (-5, 100), "numbers, not their log buckets"
    assert price.counts == {"1.0": 2, "2.0": 2, "3.0": 2, "4.0": 1}


def test_tallies_of_parts_add_up_to_those_of_the_whole(rows, spec):
    bad = rows.set_column(7, "click", pa.array([7, 1, 0, 0, 0, 0, 8, 0], pa.int8()))
    assert profile_of(bad, spec, parts=4) == profile_of(bad, spec)
    assert profile_of(bad, spec).bad_by_reason == {"click: neither 0 nor 1": 2}
    assert profile_of(bad, spec).bad_share == 2 / 8


def test_a_day_of_bad_rows_alone_has_a_profile(rows, spec):
    day = profile_of(rows.set_column(7, "click", pa.array([7] * 8, pa.int8())), spec)
    assert (day.rows, day.bad_rows, day.label_rate, day.bad_share) == (0, 8, 0, 1)
    assert day.fields["age"].quantiles is None


def test_a_list_of_nulls_alone_is_missing(spec):
    tags = pa.array([["a", None], [None], None, [], ["b"], ["a"], [None, None], ["c"]], pa.list_(pa.string()))
    day = profile_of(click_rows().set_column(3, "tags", tags), spec)
    assert day.fields["tags"].null_share == 4 / 8
    assert day.fields["tags"].counts == {"a": 2, "b": 1, "c": 1}


def test_a_profile_survives_its_json(rows, spec):
    huge = rows.set_column(rows.column_names.index("price"), "price", pa.array([1e300] * 8))
    with np.errstate(over="ignore"):  # beyond float32, in which numbers are counted
        day = profile_of(huge, spec)
    assert DayProfile.model_validate_json(day.model_dump_json()) == day


def test_only_the_most_frequent_values_are_kept_ties_in_order(spec):
    users = [f"u{i:03d}" for i in range(200)] + ["often"] * 3
    spec = spec.model_copy(update={"fields": spec.fields[:1]})
    table = pa.table({"user": users, "row": range(203), "click": [0] * 203})
    user = profile_of(table, spec).fields["user"]
    assert (user.num_distinct, user.num_values) == (201, 203)
    assert list(user.counts.items()) == [("often", 3)] + [(f"u{i:03d}", 1) for i in range(99)]


def test_quantiles_are_those_of_the_numbers_but_for_the_width_of_their_bins():
    values = np.random.default_rng(0).lognormal(size=5000) * np.random.default_rng(1).choice([-1, 1], 5000)
    quantiles = numbers(values.tolist()).quantiles
    assert quantiles is not None
    exact = np.quantile(values, [0, 0.01, 0.25, 0.5, 0.75, 0.99, 1], method="inverted_cdf")
    np.testing.assert_allclose(list(quantiles.values()), exact, rtol=2**-11)


def test_numbers_are_kept_in_the_narrowest_bins_that_are_few_enough():
    many = numbers(list(range(64, 256)))
    # from 64 to 256 is twice a power of 2: 2 * 2^4 bins of 4 leading bits are at most 50, 2 * 2^5 are not
    assert many.number_bits == 4
    assert many.counts == {repr(float(low)): 4 for low in range(64, 128, 4)} | {
        repr(float(low)): 8 for low in range(128, 256, 8)
    }


def test_bins_of_fewer_bits_are_unions_of_bins_of_more():
    counts = {"-5.0": 1, "4.0": 2, "5.0": 3, "6.0": 4, "7.0": 5, "0.0": 6}
    assert coarsen(counts, 11) == counts
    assert coarsen(counts, 1) == {"-4.0": 1, "0.0": 6, "4.0": 5, "6.0": 9}
    assert coarsen(counts, 0) == {"-4.0": 1, "0.0": 6, "4.0": 14}


def test_unseen_shares_by_hand(rows, spec):
    known = vocabulary.build(spec, vocabulary.count(rows.slice(0, 2), spec))  # users ann, tags a and b, views 0 and 1
    tallies = tally(rows, {}, spec)
    day = with_unseen_shares(profile_of(rows, spec), counted_values(tallies, spec), spec, known)
    assert day.vocabulary_fingerprint == known.fingerprint
    assert {name: field.unseen_share for name, field in day.fields.items()} == {
        "user": 3 / 7,
        "site": None,
        "tags": 1 / 9,
        "age": None,
        "views": 5 / 7,
        "price": None,
    }


def test_a_field_that_the_vocabulary_has_otherwise_has_no_unseen_share(rows, spec):
    hashed = spec.fields[0].model_copy(update={"encoder": spec.fields[1].encoder})
    other = spec.model_copy(update={"fields": (hashed, *spec.fields[2:])})
    known = vocabulary.build(other, vocabulary.count(rows, other))
    day = with_unseen_shares(profile_of(rows, spec), counted_values(tally(rows, {}, spec), spec), spec, known)
    assert (day.fields["user"].unseen_share, day.fields["tags"].unseen_share) == (None, 0.0)


def test_a_profile_needs_of_a_days_values_those_that_are_kept_and_how_many_others_there_were(spec):
    """Its tallies may come value by value, and are then the same; so is the file of what a vocabulary learns."""
    rng = np.random.default_rng(0)
    users = [f"u{number}" for number in rng.zipf(1.3, 3000).tolist()]
    views = np.abs(rng.normal(0, 5000, 3000)).astype(int)
    tags = [rng.choice(["a", "b", "c"], size).tolist() for size in rng.integers(0, 3, 3000).tolist()]
    nothing = pa.nulls(3000, pa.float64())
    rows = {"row": np.arange(3000), "user": users, "site": users, "tags": tags, "age": nothing, "views": views}
    table = pa.table({**rows, "price": rng.normal(size=3000), "click": rng.integers(0, 2, 3000)})
    whole = vocabulary.merge(tally(table, {}, spec))
    assert len(set(users)) > 4 * MAX_COUNTS
    days = DayTallies(spec)
    for shelf in range(3):
        days.add(whole.filter(pa.array([len(text or "") % 3 == shelf for text in whole["value"].to_pylist()])))
    made = [summarize(tallies, DAY, spec, "log", "spec") for tallies in (whole, days.total())]
    assert made[0] == made[1]
    assert days.total()["field"].to_pylist().count("user") <= 3 * MAX_COUNTS + 1, "of each shelf, and those without one"
    by_value = [("field", "ascending"), ("value", "ascending")]
    values = pq.read_table(pa.BufferReader(days.values_file())).sort_by(by_value)
    assert values == counted_values(whole, spec).sort_by(by_value)
    assert values == vocabulary.count(table, spec).sort_by(by_value)
