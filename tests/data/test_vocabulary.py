from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.value_counts import log_bucket
from pipeline.data.vocabulary import Vocabulary, build, count, merge
from schemas.features import FeatureSpec


def counts_of(spec: FeatureSpec, rows: pa.Table) -> dict[tuple[str, str], int]:
    return {(row["field"], row["value"]): row["count"] for row in count(rows, spec).to_pylist()}


def values_of(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    return [(row["field"], row["value"]) for row in vocabulary.values.to_pylist()]


def test_values_are_counted_by_hand(rows, spec):
    counts = counts_of(spec, rows)
    assert counts["user", "ann"] == 4
    assert counts["tags", "a"] == 5
    assert counts["views", "-5"] == 1  # -(3 + floor(ln(5)^2)) = -(3 + 2)
    assert not [field for field, _ in counts if field == "site"], "a hash needs no counting"


def test_counts_of_parts_add_up_to_the_counts_of_the_whole(rows, spec):
    parts = pa.concat_tables([count(rows.slice(0, 3), spec), count(rows.slice(3), spec)])
    keys = ["field", "value"]
    assert merge(parts).sort_by([(key, "ascending") for key in keys]) == count(rows, spec).sort_by(
        [(key, "ascending") for key in keys]
    )


def test_ids_begin_with_the_fields_own_then_go_by_descending_count(rows, spec):
    vocabulary = build(spec, count(rows, spec))
    user, site, _, age, _, price = vocabulary.fields
    assert (user.oov, user.missing) == (0, 1)
    assert (site.oov, site.missing, site.block) == (2, 3, 12)  # six fields have two ids each, then blocks follow
    assert age.block == 12 + 4
    assert price.block == age.block + len(age.edges) + 1
    assert vocabulary.num_reserved == price.block + 1
    assert values_of(vocabulary)[:4] == [("tags", "a"), ("user", "ann"), ("tags", "b"), ("user", "bob")]


def test_rare_values_get_no_id(rows, spec):
    fields = [field.model_dump() for field in spec.fields]
    fields[0]["encoder"] = {"type": "vocabulary", "min_count": 2}
    rare = FeatureSpec.model_validate({**spec.model_dump(), "fields": fields})
    users = [value for field, value in values_of(build(rare, count(rows, rare))) if field == "user"]
    assert users == ["ann", "bob"]


def test_growing_changes_no_existing_id(rows, spec):
    first = build(spec, count(rows.slice(0, 4), spec))
    grown = first.grow(count(rows, spec))
    assert grown.values.slice(0, len(first.values)) == first.values
    assert grown.num_ids > first.num_ids
    assert grown.fields == first.fields
    assert grown.grow(count(rows, spec)).fingerprint == grown.fingerprint, "nothing is learned twice"


def test_the_order_of_the_counts_does_not_matter(rows, spec):
    counts = count(rows, spec)
    shuffled = counts.take(pa.array(np.random.default_rng(0).permutation(len(counts))))
    assert build(spec, shuffled).fingerprint == build(spec, counts).fingerprint


def test_other_values_have_another_fingerprint(rows, spec):
    vocabulary = build(spec, count(rows, spec))
    swapped = vocabulary.values.take(pa.array([1, 0, *range(2, len(vocabulary.values))]))
    assert replace(vocabulary, values=swapped).fingerprint != vocabulary.fingerprint


def test_a_vocabulary_survives_its_files(rows, spec):
    vocabulary = build(spec, count(rows, spec))
    again = Vocabulary.from_parts(spec, vocabulary.layout_json(), vocabulary.values)
    assert again.fingerprint == vocabulary.fingerprint
    assert again.fields == vocabulary.fields


@pytest.mark.parametrize(
    ("x", "bucket"), [(0, 0), (1, 1), (2, 2), (2.5, 3), (3, 4), (10, 8), (-1, -1), (-10, -8), (0.5, 0), (1e30, 4774)]
)
def test_log_buckets_by_hand(x, bucket):
    assert log_bucket(np.array([x])) == [bucket]


def test_quantile_buckets_hold_equal_shares():
    spec = FeatureSpec.model_validate(
        {
            "label": "y",
            "fields": [{"name": "x", "kind": "numeric", "encoder": {"type": "quantile_bucket", "num_buckets": 4}}],
        }
    )
    x = np.arange(1000) % 200
    (ids,) = build(spec, count(pa.table({"x": x}), spec)).fields
    shares = np.bincount(np.searchsorted(ids.edges, x, side="right")) / len(x)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_ties_make_fewer_buckets_and_never_an_empty_first():
    spec = FeatureSpec.model_validate({"label": "y", "fields": [{"name": "x", "kind": "numeric"}]})
    (ids,) = build(spec, count(pa.table({"x": [0.0] * 90 + [1.0] * 10}), spec)).fields
    assert ids.edges == (1.0,)


def test_standard_scaling_has_mean_0_and_deviation_1():
    spec = FeatureSpec.model_validate(
        {"label": "y", "fields": [{"name": "x", "kind": "numeric", "encoder": {"type": "scale"}}]}
    )
    x = np.random.default_rng(0).lognormal(size=10_000)
    (ids,) = build(spec, count(pa.table({"x": x}), spec)).fields
    scaled = (x - ids.shift) / ids.scale
    assert abs(scaled.mean()) < 1e-3  # numbers are counted in bins of relative width 2^-11
    assert abs(scaled.std() - 1) < 1e-3


def test_a_field_without_any_value_still_has_its_ids():
    spec = FeatureSpec.model_validate({"label": "y", "fields": [{"name": "x", "kind": "numeric"}]})
    vocabulary = build(spec, count(pa.table({"x": pa.array([None, None], pa.float64())}), spec))
    assert vocabulary.num_ids == 3


def test_unseen_and_rare_values_are_evicted_by_hand(spec):
    learned = pa.table(
        {
            "field": ["user", "user", "user", "tags", "tags"],
            "value": ["often", "lately", "never again", "never again", "lately"],
            "count": [101, 1, 100, 7, 6],
        }
    )
    vocabulary = build(spec, learned)
    assert values_of(vocabulary) == [
        ("user", "often"),
        ("user", "never again"),
        ("tags", "never again"),
        ("tags", "lately"),
        ("user", "lately"),
    ]
    recent = pa.table(
        {"field": ["user", "tags", "user"], "value": ["lately", "lately", "a stranger"], "count": [1, 2, 3]}
    )
    left, kept_ids = vocabulary.evict(recent, max_count=100)
    assert values_of(left) == [("user", "often"), ("tags", "lately"), ("user", "lately")]
    first = vocabulary.num_reserved
    assert kept_ids.dtype == np.int64
    assert kept_ids.tolist() == [*range(first), first, first + 3, first + 4]
    assert (left.fields, left.num_reserved) == (vocabulary.fields, first)
    assert left.num_ids == len(kept_ids)


def test_a_value_seen_lately_in_one_field_says_nothing_of_another(spec):
    counts = pa.table({"field": ["user", "tags"], "value": ["x", "x"], "count": [1, 1]})
    left, _ = build(spec, counts).evict(counts.slice(0, 1), max_count=1)
    assert values_of(left) == [("user", "x")]


def test_what_was_counted_lately_is_found_under_the_text_that_it_was_learned_by(rows, spec):
    counts = count(rows, spec)
    vocabulary = build(spec, counts)
    left, kept_ids = vocabulary.evict(counts, max_count=10**9)
    assert left.fingerprint == vocabulary.fingerprint
    assert kept_ids.tolist() == list(range(vocabulary.num_ids))


def test_evicting_twice_is_evicting_once_and_all_may_go(rows, spec):
    vocabulary, recent = build(spec, count(rows, spec)), count(rows.slice(0, 2), spec)
    once, _ = vocabulary.evict(recent, max_count=2)
    twice, kept_ids = once.evict(recent, max_count=2)
    assert 0 < len(once.values) < len(vocabulary.values)
    assert twice.fingerprint == once.fingerprint
    assert kept_ids.tolist() == list(range(once.num_ids))
    none, kept_ids = vocabulary.evict(recent.slice(0, 0), max_count=10**9)
    assert len(none.values) == 0
    assert kept_ids.tolist() == list(range(vocabulary.num_reserved))


def test_an_evicted_value_that_comes_back_is_learned_anew(rows, spec):
    vocabulary, recent = build(spec, count(rows, spec)), count(rows.slice(0, 2), spec)
    left, _ = vocabulary.evict(recent, max_count=2)
    grown = left.grow(count(rows, spec))
    assert values_of(grown)[: len(left.values)] == values_of(left)
    assert sorted(values_of(grown)) == sorted(values_of(vocabulary))
