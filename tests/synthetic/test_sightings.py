from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.synthetic.log import generate
from pipeline.synthetic.sightings import Sightings
from pipeline.synthetic.world import World


def test_rows_by_how_often_their_id_was_seen_before_by_hand():
    sightings = Sightings()
    sightings.add({"item_id": np.array([0, 2, 2, 2])})
    first = sightings.end_day()["item_id"]
    assert (first.values, first.seldom) == (2, 1.0)
    assert first.rows_by_times_seen == {"0": 1.0, "1-9": 0.0, "10-99": 0.0, "100+": 0.0}
    # Item 2 had three rows and gets seven more: nothing of today counts as before. Item 5 is new.
    sightings.add({"item_id": np.array([2, 2, 2, 2])})
    sightings.add({"item_id": np.array([2, 2, 2, 5])})
    second = sightings.end_day()["item_id"]
    assert (second.values, second.seldom) == (3, 2 / 3)
    assert second.rows_by_times_seen == {"0": 1 / 8, "1-9": 7 / 8, "10-99": 0.0, "100+": 0.0}
    sightings.add({"item_id": np.array([2] * 90 + [0] * 10)})
    assert sightings.end_day()["item_id"].rows_by_times_seen == {"0": 0.0, "1-9": 0.1, "10-99": 0.9, "100+": 0.0}
    sightings.add({"item_id": np.array([2])})
    assert sightings.end_day()["item_id"].rows_by_times_seen["100+"] == 1.0


@pytest.mark.parametrize("preset", ["ads", "apps"])
def test_the_truth_says_of_a_log_what_counting_its_rows_says(tmp_path, preset):
    truth = generate(str(tmp_path), 3, 400, seed=5, preset=preset)
    so_far: dict[str, Counter[object]] = {column: Counter() for column in truth.days[0].ids}
    assert set(so_far) == {"user_id", "item_id", "advertiser_id", "site_id"}
    for day in truth.days:
        rows = pq.ParquetFile(Path(tmp_path, f"date={day.date}", "part-0.parquet")).read()
        for column, counts in so_far.items():
            values, told = rows[column].to_pylist(), day.ids[column]
            seen = Counter(sum(counts[value] >= least for least in (1, 10, 100)) for value in values)
            assert list(told.rows_by_times_seen.values()) == pytest.approx([seen[i] / 400 for i in range(4)])
            counts.update(values)
            assert told.values == len(counts)
            assert told.seldom == pytest.approx(sum(count < 10 for count in counts.values()) / len(counts))


@pytest.mark.slow
def test_most_ids_of_an_ad_log_are_seen_under_ten_times_and_those_of_an_app_log_hundreds_of_times(tmp_path):
    days, rows = 30, 2000
    of_ads = generate(str(tmp_path / "ads"), days, rows, seed=1, preset="ads").days[-1].ids
    values = sum(column.values for column in of_ads.values())
    seldom = sum(column.values * column.seldom for column in of_ads.values())
    assert 9.4 / 40.4 * 0.9 < values / (days * rows) < 34 / 45.8  # as in Avazu's log and in Criteo's, at most
    assert seldom > 0.8 * values
    of_apps = generate(str(tmp_path / "apps"), days, rows, seed=1, preset="apps").days[-1].ids
    for column in of_apps.values():
        assert column.rows_by_times_seen["100+"] > 0.8


def test_users_and_items_of_an_ad_log_come_and_go_and_their_names_are_not_given_again():
    world = World(rows_per_day=400, seed=3, preset="ads")
    first = (world.population.users, world.population.items)
    seen: tuple[set[int], set[int]] = (set(), set())
    gone: tuple[set[int], set[int]] = (set(), set())
    for day in range(40):
        world.population.age(world.rng(day, 1))
        for ids, were, had_gone in zip((world.population.users, world.population.items), seen, gone, strict=True):
            present = set(ids.number.tolist())
            assert len(present) == len(ids.number)
            assert not present & had_gone
            had_gone |= were - present
            were |= present
    for ids, at_first, were in zip((world.population.users, world.population.items), first, seen, strict=True):
        assert 0.7 < len(ids.number) / len(at_first.number) < 1.3
        assert len(were) > 3 * len(at_first.number)
        assert len(set(at_first.number.tolist()) & set(ids.number.tolist())) < 0.15 * len(at_first.number)
