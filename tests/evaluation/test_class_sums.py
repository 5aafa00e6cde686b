import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation import objectives
from pipeline.evaluation.class_sums import MAX_CONFUSED, ClassSums
from pipeline.evaluation.objectives import sums_of

Column = NDArray[np.float64]


def classes(num_rows: int, num_classes: int, seed: int) -> tuple[Column, Column]:
    """Logits that know something, and the classes of the rows."""
    random = np.random.default_rng(seed)
    labels = random.choice(num_classes, num_rows, p=np.arange(1, num_classes + 1) / sum(range(num_classes + 1)))
    logits = random.normal(0, 1, (num_rows, num_classes))
    logits[np.arange(num_rows), labels] += 1.0
    return logits, labels.astype(np.float64)


def same(a: ClassSums, b: ClassSums) -> bool:
    left, right = a.to_arrays(), b.to_arrays()
    floats = {"nats", "squares"}
    return left.keys() == right.keys() and all(
        np.allclose(left[name], right[name], rtol=1e-12) if name in floats else np.array_equal(left[name], right[name])
        for name in left
    )


# Three rows of three classes: p of the row's own class is .5, .25 and .2; the last is taken for class 0.
THREE = ClassSums.of(np.log([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.6, 0.2, 0.2]]), np.array([0, 2, 2]))


def test_three_rows_by_hand():
    metrics = THREE.metrics()
    nats = -(math.log(0.5) + math.log(0.5) + math.log(0.2)) / 3
    entropy = -(math.log(1 / 3) / 3 + math.log(2 / 3) * 2 / 3)
    assert (metrics.rows, metrics.accuracy) == (3, pytest.approx(2 / 3))
    assert metrics.log_loss == pytest.approx(nats)
    assert metrics.ne == pytest.approx(nats / entropy)
    # Class 0: 1 hit, 1 row, 2 told; class 2: 1 hit, 2 rows, 1 told; class 1 neither is nor was told.
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert THREE.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]


def test_what_only_clicks_have_is_undefined():
    metrics = THREE.metrics()
    assert metrics.objective == "multiclass"
    names = ("positives", "auc", "calibration", "ece", "pr_auc", "gauc", "base_rate", "rmse", "mae")
    assert [getattr(metrics, name) for name in names] == [None] * len(names)
    assert set(metrics.as_dict()) == {"rows", "log_loss", "ne", "accuracy", "macro_f1"}


@pytest.mark.parametrize("num_classes", [2, 5, MAX_CONFUSED + 1])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["counted", "weighted"])
def test_the_metrics_are_those_of_scikit_learn(num_classes: int, is_weighted: bool):
    logits, labels = classes(2_000, num_classes, seed=num_classes)
    weights = np.random.default_rng(1).choice([0.5, 1.0, 4.0], 2_000) if is_weighted else None
    metrics = ClassSums.of(logits, labels, weights).metrics()
    p, told = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), logits.argmax(axis=1)
    loss = sklearn_metrics.log_loss(labels, p, sample_weight=weights, labels=range(num_classes))
    assert metrics.log_loss == pytest.approx(loss)
    assert metrics.accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, told, sample_weight=weights))
    f1 = sklearn_metrics.f1_score(labels, told, average="macro", sample_weight=weights)
    assert metrics.macro_f1 == pytest.approx(f1)


def test_two_classes_have_the_ne_of_a_click():
    random = np.random.default_rng(5)
    logits, labels = random.normal(-1, 1, 500), (random.random(500) < 0.3).astype(float)
    clicks = sums_of("binary").of(logits, labels).metrics()
    metrics = ClassSums.of(np.stack([np.zeros(500), logits], axis=1), labels).metrics()
    assert (metrics.log_loss, metrics.ne) == (pytest.approx(clicks.log_loss), pytest.approx(clicks.ne))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]], ids=str)
def test_sums_of_batches_in_any_order_are_those_of_all_rows(order: list[int]):
    logits, labels = classes(1_000, 4, seed=2)
    batches = np.array_split(np.arange(1_000), [10, 11, 700])
    total = ClassSums.zero()
    for batch in order:
        total += ClassSums.of(logits[batches[batch]], labels[batches[batch]])
    assert same(total + ClassSums.zero(), ClassSums.of(logits, labels))


def test_they_come_back_from_bytes_and_know_their_objective():
    found = objectives.from_bytes(THREE.to_bytes())
    assert isinstance(found, ClassSums)
    assert same(found, THREE)


def test_a_weight_is_a_row_repeated():
    logits, labels = classes(100, 3, seed=3)
    times = np.random.default_rng(4).integers(0, 3, 100)
    repeated = ClassSums.of(np.repeat(logits, times, axis=0), np.repeat(labels, times))
    weighted = ClassSums.of(logits, labels, times.astype(float))
    assert replace(weighted.metrics(), rows=0).as_dict() == pytest.approx(replace(repeated.metrics(), rows=0).as_dict())


def test_the_shares_of_the_classes_have_an_ne_of_1():
    _, labels = classes(300, 3, seed=6)
    shares = np.bincount(labels.astype(int)) / 300
    assert ClassSums.of(np.tile(np.log(shares), (300, 1)), labels).metrics().ne == pytest.approx(1.0)


def test_rows_of_one_class_have_a_loss_and_no_ne():
    sums = ClassSums.of(np.zeros((4, 2)), np.ones(4))
    assert (sums.metrics().log_loss, sums.metrics().ne) == (pytest.approx(math.log(2)), None)
    assert (sums.estimates(), sums.against((0.5, 0.5))) == ({}, None)


def test_no_rows_have_no_figures():
    assert ClassSums.zero().metrics().as_dict() == {"rows": 0}
    assert ClassSums.of(np.zeros((2, 2)), np.zeros(2), np.zeros(2)).metrics().as_dict() == {"rows": 2}


@pytest.mark.parametrize(
    ("logits", "labels", "weights", "words"),
    [
        (np.zeros(2), np.zeros(2), None, "a logit a class"),
        (np.zeros((2, 0)), np.zeros(2), None, "a logit a class"),
        (np.zeros((2, 3)), np.zeros(3), None, "one length"),
        (np.zeros((2, 3)), np.zeros(2), np.zeros(1), "one length"),
        (np.array([[0, 1], [np.nan, 2]]), np.zeros(2), None, "finite values.*row 1"),
        (np.zeros((2, 3)), np.array([0, 3]), None, "0 to 2, found 3"),
        (np.zeros((2, 3)), np.array([0.5, 1]), None, "found 0.5"),
        (np.zeros((2, 3)), np.array([-1, 1]), None, "found -1"),
        (np.zeros((2, 3)), np.array([np.nan, 1]), None, "found nan"),
        (np.zeros((2, 3)), np.zeros(2), np.array([1.0, -1.0]), "0 or more, found -1.0 at row 1"),
    ],
)
def test_rows_that_are_none_of_classes_are_refused_with_the_first_one(logits, labels, weights, words):
    with pytest.raises(ValueError, match=words):
        ClassSums.of(logits, labels, weights)
