import numpy as np
import pytest

from pipeline.bench.clicks import CLICK_RATE, ZIPF_EXPONENT, zipf_rows


def test_each_field_has_ids_of_its_own():
    rows = zipf_rows(1000, num_fields=3, num_ids=11)
    ids_RF = rows.ids.reshape(1000, 3)
    assert (ids_RF % 3 == np.arange(3)).all()
    assert rows.ids.min() == 0
    assert rows.ids.max() == 8, "three values a field; the two ids left over are nobody's"


def test_frequencies_follow_zipfs_law():
    ids = zipf_rows(200_000, num_fields=1, num_ids=3).ids
    weights = np.array([1, 1 / 2**ZIPF_EXPONENT, 1 / 3**ZIPF_EXPONENT])
    assert np.bincount(ids) / len(ids) == pytest.approx(weights / weights.sum(), abs=0.005)


def test_labels_are_clicks_at_the_click_rate_and_independent_of_the_ids():
    rows = zipf_rows(200_000, num_fields=1, num_ids=2)
    for value in (0, 1):
        assert rows.labels[rows.ids == value].mean() == pytest.approx(CLICK_RATE, abs=0.003)


def test_the_same_seed_gives_the_same_rows():
    assert np.array_equal(zipf_rows(10, 2, 100, seed=1).ids, zipf_rows(10, 2, 100, seed=1).ids)
    assert not np.array_equal(zipf_rows(10, 2, 100, seed=1).ids, zipf_rows(10, 2, 100, seed=2).ids)
