"""Which column is the label, the key and the group, and which are no features."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.intake.proposed import Proposed, Told, propose
from schemas.errors import Refusal

N = 1000
DRAWN = np.random.default_rng(2)
CLICK = (DRAWN.random(N) < 0.2).astype(np.int8)


def log(**more: object) -> pa.Table:
    columns = {
        "row_id": np.arange(N),
        "user_id": DRAWN.integers(0, 100, N),
        "site": DRAWN.choice(["a", "b", "c"], N),
        "click": CLICK,
    }
    return pa.table({name: one for name, one in {**columns, **more}.items() if one is not None})


def proposed(rows: pa.Table, **told: object) -> Proposed:
    return propose(rows, N, Told(**told), "logs")  # type: ignore[arg-type]


def refused(rows: pa.Table, **told: object) -> Refusal:
    with pytest.raises(Refusal) as raised:
        proposed(rows, **told)
    return raised.value


def test_label_key_and_group_are_guessed_by_name_and_content():
    found = proposed(log())
    assert (found.label.name, found.row_key and found.row_key.name, found.group and found.group.name) == (
        "click",
        "row_id",
        "user_id",
    )
    assert [*found.fields] == ["user_id", "site"], "a group may be a field as well"
    assert found.spec().row_key == "row_id"


@pytest.mark.parametrize("name", ["clicked", "Clicked", "is_click", "isClicked", "label", "y", "target", "subscribed"])
def test_a_label_is_known_by_what_it_is_called(name):
    assert proposed(log(click=None, **{name: CLICK})).label.name == name


@pytest.mark.parametrize(
    "values", [CLICK.astype(bool), CLICK.astype(float), CLICK.astype(np.int64)], ids=["boolean", "float", "integer"]
)
def test_a_label_is_0_and_1_of_any_type(values):
    assert proposed(log(click=values)).label.name == "click"


def test_of_two_labels_the_one_that_is_told_is_taken_and_the_other_is_known_after_the_click():
    found = proposed(log(target=CLICK), label="target")
    assert found.label.name == "target"
    assert "AUC" in found.ignored["click"]


def test_a_log_without_a_label_is_refused_and_names_the_columns_that_could_be_one():
    refusal = refused(log(click=None, seen=CLICK))
    assert "of 0 and 1 seen" in refusal.found
    assert refusal.remedy == "name it: --label seen"


@pytest.mark.parametrize(
    ("values", "found", "remedy"),
    [
        (np.where(CLICK, "yes", "no"), '"no", "yes"', "pyarrow.compute.equal(table['click'], 'yes')"),
        (np.where(CLICK, "TRUE", "FALSE"), '"FALSE", "TRUE"', "pyarrow.compute.equal(table['click'], 'TRUE')"),
        ([None if i % 10 == 0 else int(one) for i, one in enumerate(CLICK)], "10.0% of rows null", "write 0"),
        (CLICK * 2, "0, 2", "say --objective"),
        ([[int(one)] for one in CLICK], "2 values", "say --objective"),
        ([{"a": 1}] * N, "struct", "say --objective"),
    ],
    ids=["words", "capitals", "nulls", "other-numbers", "lists", "structs"],
)
def test_a_label_of_something_else_than_clicks_is_refused_with_what_to_do(values, found, remedy):
    refusal = refused(log(click=values))
    assert found in refusal.found
    assert remedy in refusal.remedy


@pytest.mark.parametrize("role", ["label", "row_key", "group"])
def test_a_column_that_is_told_and_not_there_is_refused(role):
    refusal = refused(log(), **{role: "clik"})
    assert refusal.found == "no column 'clik'"
    assert "user_id" in refusal.expected


def test_a_column_to_ignore_that_is_not_there_is_refused():
    assert refused(log(), ignored=["nowhere"]).found == "no column 'nowhere'"


def test_a_key_with_nulls_is_refused():
    assert "50.0% of rows null" in refused(log(half=[i if i % 2 else None for i in range(N)]), row_key="half").found


def test_a_log_without_a_feature_is_refused_with_the_reason_of_each_column():
    rows = log(user_id=None, site=["a"] * N)
    assert "site: always the same value" in refused(rows).found


def test_an_empty_name_takes_a_guess_back():
    found = proposed(log(), row_key="", group="")
    assert (found.row_key, found.group) == (None, None)
    assert "another value in every row" in found.ignored["row_id"]


def test_a_column_known_only_after_the_click_is_ignored_with_the_reason():
    found = proposed(
        log(
            dwell_seconds=CLICK * 20 + DRAWN.exponential(25, N),
            cost=[1.5 if one else None for one in CLICK],
            outcome=np.where(CLICK, "sale", "none"),
            order_id=CLICK * DRAWN.integers(1, 1000, N),
        )
    )
    assert {*found.ignored} == {"dwell_seconds", "cost", "outcome", "order_id"}
    assert "a guess by its name" in found.ignored["dwell_seconds"]
    assert "null exactly where" in found.ignored["cost"]
    assert "written after the click" in found.ignored["outcome"]


def test_the_column_that_tells_most_is_named_to_be_looked_at():
    found = proposed(log(depth=CLICK + DRAWN.normal(0, 1, N)))
    assert found.strongest is not None
    assert found.strongest[0] == "depth"
    assert 0.6 < found.strongest[1] < 0.95


def test_what_is_called_a_weight_stays_a_field_and_is_asked_about():
    assert "weight: weight" in proposed(log(weight=DRAWN.random(N))).fields["weight"].reason


def test_what_stands_in_the_path_is_no_column():
    rows = log(dt=["2026-11-01"] * N)
    assert "dt" not in propose(rows, N, Told(), "logs", ["date", "dt"]).columns
