from itertools import pairwise

import numpy as np
import pytest

from pipeline.evaluation import told as module
from pipeline.evaluation.number_sums import NumberSums
from pipeline.evaluation.told import Told


def of(told: list[float], labels: list[float] | None = None) -> Told:
    numbers = np.array(told)
    return Told.of(numbers, numbers if labels is None else np.array(labels), np.ones(len(numbers)))


def test_equal_numbers_share_a_bin_and_bins_rise():
    found = of([2.0, -1.0, 2.0, 0.0], [1.0, 5.0, 2.0, 7.0])
    assert (found.width, found.mass.tolist(), found.told.tolist()) == (0, [1, 1, 2], [-1, 0, 4])
    assert found.labels.tolist() == [5, 7, 3]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]], ids=str)
def test_the_bins_are_the_same_whichever_way_rows_were_added_up(monkeypatch: pytest.MonkeyPatch, order: list[int]):
    monkeypatch.setattr(module, "MAX_BINS", 50)
    random = np.random.default_rng(1)
    told = random.normal(100, 30, 1_000)
    labels = told + random.normal(0, 1, 1_000)
    parts = np.array_split(np.arange(1_000), [3, 400])
    whole = Told.of(told, labels, np.ones(1_000))
    merged = Told.merged(Told.of(told[parts[i]], labels[parts[i]], np.ones(len(parts[i]))) for i in order)
    assert 25 < len(whole.bins) <= 50
    assert (merged.width, merged.bins.tolist()) == (whole.width, whole.bins.tolist())
    assert merged.mass.sum() == 1_000
    assert merged.told == pytest.approx(whole.told)
    assert merged.labels == pytest.approx(whole.labels)


def test_wide_bins_keep_their_order_across_zero(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_BINS", 8)
    found = of(np.linspace(-1e6, 1e6, 999).tolist())
    means = found.told / found.mass
    assert all(a < b for a, b in pairwise(means.tolist()))


def test_the_curve_of_a_model_that_tells_all_is_the_diagonal():
    numbers = np.arange(100.0)
    told, labels = NumberSums.of(numbers, numbers).curve(num_bins=4)
    assert told.tolist() == labels.tolist() == [12, 37, 62, 87]


def test_no_rows_have_no_curve():
    assert [one.tolist() for one in NumberSums.zero().curve()] == [[], []]
    assert [one.tolist() for one in NumberSums.of(np.ones(2), np.ones(2), np.zeros(2)).curve()] == [[], []]
