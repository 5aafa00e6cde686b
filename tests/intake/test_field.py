"""What a column is proposed as, by its name and what it holds."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from pipeline.intake.column import Column
from pipeline.intake.field import Proposal, propose
from pipeline.intake.leak import Label

N = 2000
DRAWN = np.random.default_rng(0)
ZIPF = np.minimum(DRAWN.zipf(1.5, N), 10_000)
SCATTERED = DRAWN.permutation(100_000)[:1500]  # names of things, some of them common


def proposal(name: str, values: object, label: Label | None = None) -> Proposal:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return propose(Column(name, pa.chunked_array([array])), label or Label(np.zeros(len(array), bool)), total_rows=N)


@pytest.mark.parametrize(
    ("name", "values", "kind", "encoder"),
    [
        ("device", ["phone", "tablet", None, "phone"] * 50, "categorical", None),
        ("is_new", [True, False] * 50, "categorical", None),
        ("os", pa.array([b"ios", b"android"] * 50), "categorical", None),
        ("os", pa.array(["ios", "android"] * 50).dictionary_encode(), "categorical", None),
        ("hour", np.arange(N) % 24, "categorical", None),
        ("rating", np.arange(N) % 5, "categorical", None),
        ("user_id", ZIPF, "categorical", "vocabulary"),
        ("userId", ZIPF, "categorical", "vocabulary"),
        ("C14", ZIPF, "categorical", "vocabulary"),
        ("place", SCATTERED[DRAWN.integers(0, 1500, N)], "categorical", "vocabulary"),
        ("place", [float(one) if one % 7 else None for one in SCATTERED] * 2, "categorical", "vocabulary"),
        ("age", 18 + np.arange(N) % 60, "numeric", None),
        ("views", ZIPF, "numeric", "log_bucket"),
        ("balance", DRAWN.integers(-5000, 90_000, N), "numeric", None),
        ("price", DRAWN.lognormal(size=N), "numeric", None),
        ("tags", pa.array([["a", "b"], [], None, ["c"]] * 50), "multi_valued", None),
        ("items", pa.array([[1, 2], [3]] * 50), "multi_valued", None),
        ("user_id", pa.array(ZIPF.astype(float)).cast(pa.decimal128(20, 0)), "numeric", None),
        ("user_id", np.float32(2**24) + 2 * ZIPF.astype(np.float32), "numeric", None),
        ("user_id", ZIPF.astype(np.float32), "categorical", "vocabulary"),
        ("often_null", [None] * 90 + ["x"] * 10, "categorical", None),
    ],
)
def test_a_column_is_proposed_as_what_its_values_and_its_name_are(name, values, kind, encoder):
    entry = proposal(name, values).entry
    assert entry is not None
    assert entry["kind"] == kind
    assert entry.get("encoder", {}).get("type") == encoder


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("country", ["DE"] * 50, "always the same value"),
        ("note", pa.nulls(50), "always null"),
        ("note", pa.nulls(50, pa.string()), "always null"),
        ("request", [f"r{i}" for i in range(N)], "another value in every row"),
        ("item_id", np.arange(N), "another value in every row"),
        ("row", np.arange(N), "another value in every row"),
        ("seen", [datetime(2026, 11, 1 + i % 20) for i in range(50)], "a moment does not come again"),
        ("seen", [f"2026-11-{1 + i % 20:02} 10:00:00" for i in range(50)], "a moment does not come again"),
        ("seen", [f"2026-11-{1 + i % 20:02}T10:00:00.5Z" for i in range(50)], "a moment does not come again"),
        ("event_time", 1_762_000_000 + np.arange(N) // 3, "a moment does not come again"),
        ("event_ts", 1_762_000_000_000 + np.arange(N) // 3, "a moment does not come again"),
        ("picture", pa.array([[0.5, 0.25], [0.5, 0.75]] * 50), "as an embedding is"),
        ("who", pa.array([{"a": 1}] * 50), "no kind of field takes values of type struct"),
        ("who", pa.array([[["a"]]] * 50), "no kind of field takes values of type list"),
        (
            "prices",
            pa.array([[1, 2]] * 50).cast(pa.list_(pa.decimal128(20, 0))),
            "no kind of field takes values of type list",
        ),
        ("name", pa.array([b"\xff\xfe", b"a"] * 50), "no kind of field takes values of type binary"),
        ("ratio", [0.5, float("inf"), 1.25] * 50, "infinite or beyond 32-bit floats"),
        ("ratio", [0.5, 1e300, 1.25] * 50, "infinite or beyond 32-bit floats"),
    ],
)
def test_a_column_that_no_field_can_or_should_have_is_left_out_with_the_reason(name, values, reason):
    found = proposal(name, values)
    assert found.entry is None
    assert reason in found.reason


@pytest.mark.parametrize("sign", ["|", ";", ","])
def test_texts_that_hold_several_values_are_named_as_a_possible_list(sign):
    texts = [sign.join(sorted({f"t{i % 7}", f"t{i % 5}", f"t{i % 3}"})) for i in range(300)]
    assert f"perhaps a list, parted by {sign}" in proposal("tags", texts).reason
    assert "list" not in proposal("city", ["Paris, France", "Berlin, Germany"] + ["Rome"] * 98).reason


def test_values_that_are_seen_once_share_an_id_only_where_there_are_many_of_them():
    assert proposal("city", ["Rome", "Paris"] * 50).entry == {"kind": "categorical"}
    rare = [f"c{i}" for i in range(40)] + ["Rome"] * 60
    assert proposal("city", rare).entry == {"kind": "categorical", "encoder": {"type": "vocabulary", "min_count": 2}}


def test_a_large_log_asks_for_more_rows_of_a_value():
    column = Column("user_id", pa.chunked_array([pa.array(ZIPF)]))
    entry = propose(column, Label(np.zeros(N, bool)), total_rows=50_000_000).entry
    assert entry is not None
    assert entry["encoder"]["min_count"] == 10


def test_whole_numbers_that_tell_more_one_by_one_than_in_buckets_have_an_id_each():
    values = np.minimum(DRAWN.zipf(1.3, 10_000), 200)
    by_value = DRAWN.normal(size=201)[values]
    by_size = 0.5 * np.log(values)
    for logit, kind in ((by_value, "categorical"), (by_size, "numeric")):
        clicks = DRAWN.random(10_000) < 1 / (1 + np.exp(1 - logit))
        entry = proposal("field_0", values, Label(clicks)).entry
        assert entry is not None
        assert entry["kind"] == kind
