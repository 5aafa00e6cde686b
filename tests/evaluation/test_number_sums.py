from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation import objectives
from pipeline.evaluation.number_sums import NumberSums

Column = NDArray[np.float64]


def numbers(num_rows: int, seed: int, mean: float = 0.0) -> tuple[Column, Column]:
    """Skewed numbers, and a model that knows something of them."""
    random = np.random.default_rng(seed)
    labels = mean + random.exponential(3.0, num_rows)
    return mean + 0.7 * (labels - mean) + random.normal(0, 1, num_rows), labels


def same(a: NumberSums, b: NumberSums) -> bool:
    left, right = a.to_arrays(), b.to_arrays()
    floats = set(left) - {"objective", "rows"}
    return left.keys() == right.keys() and all(
        np.allclose(left[name], right[name], rtol=1e-6, atol=1e-3) if name in floats else left[name] == right[name]
        for name in left
    )


def test_four_rows_by_hand():
    # Labels 1 2 3 6, of mean 3 and squared distances 4 1 0 9; told 1 4 3 4: errors 0 2 0 -2.
    metrics = NumberSums.of(np.array([1.0, 4.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0])).metrics()
    assert (metrics.rows, metrics.ne, metrics.mae) == (4, pytest.approx(8 / 14), 1.0)
    assert metrics.rmse == pytest.approx(2**0.5)


def test_what_only_clicks_and_classes_have_is_undefined():
    metrics = NumberSums.of(*numbers(10, seed=0)).metrics()
    assert metrics.objective == "regression"
    assert set(metrics.as_dict()) == {"rows", "ne", "rmse", "mae"}


@pytest.mark.parametrize("is_weighted", [False, True], ids=["counted", "weighted"])
def test_the_metrics_are_those_of_scikit_learn_and_ne_is_what_r2_leaves(is_weighted: bool):
    told, labels = numbers(2_000, seed=1)
    weights = np.random.default_rng(1).choice([0.5, 1.0, 4.0], 2_000) if is_weighted else None
    metrics = NumberSums.of(told, labels, weights).metrics()
    assert metrics.ne == pytest.approx(1 - sklearn_metrics.r2_score(labels, told, sample_weight=weights))
    rmse = sklearn_metrics.root_mean_squared_error(labels, told, sample_weight=weights)
    assert metrics.rmse == pytest.approx(rmse)
    assert metrics.mae == pytest.approx(sklearn_metrics.mean_absolute_error(labels, told, sample_weight=weights))


@pytest.mark.parametrize("mean", [0.0, 1e4, -1e9], ids=str)
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]], ids=str)
def test_sums_of_batches_in_any_order_are_those_of_all_rows_however_far_from_0(mean: float, order: list[int]):
    told, labels = numbers(1_000, seed=2, mean=mean)
    batches = np.array_split(np.arange(1_000), [10, 11, 700])
    total = NumberSums.zero()
    for batch in order:
        total += NumberSums.of(told[batches[batch]], labels[batches[batch]])
    assert same(total + NumberSums.zero(), NumberSums.of(told, labels))


def test_nothing_cancels_where_labels_lie_far_from_0():
    told, labels = numbers(1_000, seed=3)
    near, far = NumberSums.of(told, labels), NumberSums.of(told + 2.0**33, labels + 2.0**33)
    assert far.metrics().ne == pytest.approx(near.metrics().ne, rel=1e-5)
    assert far.estimates()["ne"] == pytest.approx(near.estimates()["ne"], rel=1e-5)


def test_batches_whose_means_lie_far_apart_keep_their_spread():
    low, high = np.array([1.0, 3.0]), np.array([1e6 + 1, 1e6 + 3])
    joint = NumberSums.of(low, low) + NumberSums.of(high, high)
    assert joint.spread == pytest.approx(np.var(np.concatenate([low, high])) * 4, rel=1e-12)


def test_they_come_back_from_bytes_and_know_their_objective():
    sums = NumberSums.of(*numbers(50, seed=4))
    found = objectives.from_bytes(sums.to_bytes())
    assert isinstance(found, NumberSums)
    assert same(found, sums)


def test_a_weight_is_a_row_repeated():
    told, labels = numbers(100, seed=5)
    times = np.random.default_rng(4).integers(0, 3, 100)
    repeated = NumberSums.of(np.repeat(told, times), np.repeat(labels, times))
    weighted = NumberSums.of(told, labels, times.astype(float))
    assert replace(weighted.metrics(), rows=0).as_dict() == pytest.approx(replace(repeated.metrics(), rows=0).as_dict())


def test_the_mean_label_has_an_ne_of_1():
    _, labels = numbers(300, seed=6)
    assert NumberSums.of(np.full(300, labels.mean()), labels).metrics().ne == pytest.approx(1.0)


@pytest.mark.parametrize("label", [0.0, 0.1, 1e7 + 0.3], ids=str)
def test_equal_labels_have_errors_and_no_ne(label: float):
    batches = [NumberSums.of(np.zeros(num_rows), np.full(num_rows, label)) for num_rows in (3, 7, 1)]
    sums = sum(batches, NumberSums.zero())
    assert (sums.metrics().mae, sums.metrics().ne) == (pytest.approx(label), None)
    assert (sums.estimates(), sums.against(1.0)) == ({}, None)


def test_no_rows_have_no_figures():
    assert NumberSums.zero().metrics().as_dict() == {"rows": 0}
    assert NumberSums.of(np.zeros(2), np.ones(2), np.zeros(2)).metrics().as_dict() == {"rows": 2}


@pytest.mark.parametrize(
    ("told", "labels", "weights", "words"),
    [
        (np.zeros((2, 1)), np.zeros(2), None, "a number a row"),
        (np.zeros(2), np.zeros(3), None, "one length"),
        (np.zeros(2), np.zeros(2), np.zeros(1), "one length"),
        (np.array([0.0, np.inf]), np.zeros(2), None, "finite values.*row 1"),
        (np.zeros(2), np.array([0.0, np.nan]), None, "finite numbers, found nan at row 1"),
        (np.zeros(2), np.zeros(2), np.array([1.0, -1.0]), "0 or more, found -1.0 at row 1"),
    ],
)
def test_rows_that_are_none_of_numbers_are_refused_with_the_first_one(told, labels, weights, words):
    with pytest.raises(ValueError, match=words):
        NumberSums.of(told, labels, weights)
