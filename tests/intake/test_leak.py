"""How well a column alone tells the label."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pipeline.intake.column import Column
from pipeline.intake.leak import Label, auc_alone, goes_by_nulls

N = 5000
DRAWN = np.random.default_rng(1)
CLICK = DRAWN.random(N) < 0.1


def auc(values: object) -> float:
    found = auc_alone(column_of(values), Label(CLICK))
    assert found is not None
    return found


def column_of(values: object) -> Column:
    return Column("one", pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)]))


def mixed(share: float) -> NDArray[np.float64]:
    """The label, where `share` of rows have another's."""
    other = DRAWN.permutation(CLICK)
    return np.where(DRAWN.random(N) < share, other, CLICK).astype(float)


def test_a_number_that_rises_with_the_label_has_the_auc_that_scikit_learn_gives_it():
    seconds = DRAWN.exponential(10, N) + 15 * CLICK
    assert auc(seconds) == pytest.approx(roc_auc_score(CLICK, seconds), abs=0.02)
    assert auc(-seconds) == pytest.approx(roc_auc_score(CLICK, seconds), abs=0.02)


def test_a_number_that_tells_the_label_by_its_middle_is_found_out():
    assert auc(np.where(CLICK, 0.0, DRAWN.choice([-1, 1], N)) + DRAWN.normal(0, 0.1, N)) > 0.99


@pytest.mark.parametrize("to_text", [str, lambda one: [one] * (1 + int(one))], ids=["text", "list"])
def test_a_category_or_a_list_that_is_written_after_the_click_is_found_out(to_text):
    assert auc([to_text(one) for one in mixed(0.01)]) > 0.95


def test_rare_ids_tell_nothing_by_being_rare():
    assert auc(DRAWN.integers(0, N, N)) == pytest.approx(0.5, abs=0.05)
    assert auc([f"u{i}" for i in range(N)]) == pytest.approx(0.5, abs=0.05)


def test_missing_values_that_tell_the_label_are_found_out():
    assert auc([3.0 if click else None for click in CLICK]) == 1
    assert auc([None if click else f"c{i % 9}" for i, click in enumerate(CLICK)]) == 1


@pytest.mark.parametrize("is_null", [~CLICK, CLICK])
def test_a_column_that_is_null_exactly_by_the_label_is_found_out(is_null):
    values = pa.array([None if one else 5.0 for one in is_null])
    assert goes_by_nulls(column_of(values), Label(CLICK))
    almost = pa.array([None if one else 5.0 for one in np.roll(is_null, 1)])
    assert not goes_by_nulls(column_of(almost), Label(CLICK))


def test_of_few_clicks_nothing_is_said():
    few = np.arange(N) < 19
    assert auc_alone(column_of(few), Label(few)) is None
    assert not goes_by_nulls(column_of(pa.array([5 if one else None for one in few])), Label(few))
