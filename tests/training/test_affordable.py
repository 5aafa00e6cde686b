"""The days of a control, by what has been published; and what a whole plan with controls comes to."""

from dataclasses import asdict
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart, complete, write_part
from pipeline.runtime import trusted
from pipeline.runtime.progress import Point
from pipeline.training import affordable, fitting, published, results
from pipeline.training.checkpoint import PROGRESS, Progress
from pipeline.training.job import TrainingJob
from pipeline.training.rank import Rank
from schemas.config import TrainConfig
from schemas.days import SomeDays, Span

NUM_DAYS = 5


@pytest.mark.parametrize(
    ("rows_of_days", "num_rows", "expected"),
    [
        ([100, 100, 100], 0, 1),
        ([100, 100, 100], 149, 1),
        ([100, 100, 100], 151, 2),
        ([100, 100, 100], 1e9, 3),
        ([10, 500, 10], 200, 1),
        ([10, 500, 10], 300, 2),
    ],
    ids=["none", "nearer-to-one", "nearer-to-two", "more-than-there-are", "a-large-day", "most-of-a-large-day"],
)
def test_the_days_are_those_whose_rows_come_closest(rows_of_days, num_rows, expected):
    assert affordable.nearest(rows_of_days, num_rows, [1, 2, 3]) == expected
    assert affordable.nearest(rows_of_days, num_rows, [3]) == 3


def log_of(num_days: int) -> Store:
    parts = [StoredPart("train", date(2020, 1, 1) + timedelta(day), 0, 10, 1) for day in range(num_days)]
    return Store("nowhere", 40, tuple(parts))


@pytest.mark.parametrize(("num_days", "last"), [(1, 1), (5, 2), (30, 3), (34, 3)])
def test_a_control_may_be_given_any_number_of_days_from_its_stages_to_all(config, num_days, last):
    config = with_controls(config, days={"last": last})
    assert affordable.choices(config.plan[2], config, log_of(num_days)) == list(range(last, num_days + 1))


def test_of_many_days_the_numbers_grow_in_like_proportions(config):
    config = with_controls(config, days={"last": 7})
    found = affordable.choices(config.plan[2], config, log_of(1000))
    assert (found[0], found[-1], len(found)) == (7, 1000, affordable.MOST_CHOICES)
    assert max(after / before for before, after in pairwise(found)) <= 1.25


def with_controls(config: TrainConfig, **stage: Any) -> TrainConfig:
    tree = config.model_dump(mode="json")
    fm, deepfm = tree["stages"]
    stages = [{**fm, "days": {"before": "deepfm"}}, {**deepfm, "transfer": {}, "days": {"last": 1}, **stage}]
    return TrainConfig.model_validate({**tree, "stages": stages, "control": "all", "cluster": {"num_workers": 0}})


def publish(run_uri: Path, stage: str, rows_seen: int, seconds: float) -> None:
    """What a finished stage says of itself."""
    folder = Path(published.stage_uri(str(run_uri), stage))
    folder.mkdir(parents=True)
    own = Progress(stage, step=1, rows_seen=rows_seen, seconds=seconds)
    (folder / PROGRESS).write_bytes(trusted.sealed({"progress": asdict(own)}))


@pytest.fixture
def store(rows: Rows, tmp_path: Path) -> Store:
    """Five days of the same rows to train on, and one held out."""
    splits: list[tuple[SplitName, int]] = [*(("train", day) for day in range(1, NUM_DAYS + 1)), ("test", NUM_DAYS + 1)]
    parts = [StoredPart(split, date(2026, 11, day), 0, len(rows), int(rows.labels.sum())) for split, day in splits]
    for part in parts:
        write_part(str(tmp_path / "store"), part, rows)
    return complete(str(tmp_path / "store"), 40, parts)


def control_days(config: TrainConfig, store: Store, run_uri: Path) -> Any:
    (control,) = (stage for stage in config.plan if stage.days == "affordable")
    return affordable.on_its_days(control, config, store, str(run_uri)).days


def test_a_control_has_the_days_that_the_seconds_of_both_stages_buy_at_the_nets_rate(config, rows, store, tmp_path):
    # The net goes over a day in 10 s, and fm took 21 s for the four before: 31 s are three days and a tenth.
    publish(tmp_path, "deepfm", len(rows), 10.0)
    publish(tmp_path, "fm", 4 * len(rows), 21.0)
    assert control_days(with_controls(config), store, tmp_path) == SomeDays(last=3)


def test_the_passes_of_a_control_take_their_time_too(config, rows, store, tmp_path):
    publish(tmp_path, "deepfm", 2 * len(rows), 20.0)
    publish(tmp_path, "fm", 4 * len(rows), 21.0)
    assert control_days(with_controls(config, epochs=2), store, tmp_path) == SomeDays(last=2)


def test_a_control_that_leaves_negatives_away_has_days_by_the_rows_that_are_left(config, rows, store, tmp_path):
    config = with_controls(config, negative_share=0.1)
    publish(tmp_path, "deepfm", store.of_span(Span(oldest=1), 0.1).num_rows("train"), 10.0)
    publish(tmp_path, "fm", 4 * len(rows), 21.0)
    assert control_days(config, store, tmp_path) == SomeDays(last=3)


def test_more_time_than_all_days_take_buys_all_of_them(config, rows, store, tmp_path):
    publish(tmp_path, "deepfm", len(rows), 10.0)
    publish(tmp_path, "fm", 4 * len(rows), 1000.0)
    assert control_days(with_controls(config), store, tmp_path) == SomeDays(last=NUM_DAYS)


@pytest.mark.slow
def test_a_plan_with_controls_tells_its_lifts_and_goes_on_with_the_days_that_it_had(config, store, tmp_path):
    config, run = with_controls(config), tmp_path / "run"
    job = TrainingJob(config, store, str(run), lambda point: None)
    shown: list[Point] = []
    assert fitting.fit(job, shown.append) == {}
    days = results.progress(str(run), "deepfm-control").settings["days"]
    own = control_days(config, store, run)
    assert days.startswith(f"{own.last}, ")
    assert results.progress(str(run), "deepfm-alone").settings["days"] == "1, 2026-11-05 to 2026-11-05"
    (run / "stages/deepfm-control/_SUCCESS").unlink()
    assert fitting.fit(job, shown.append) == {}
    assert results.progress(str(run), "deepfm-control").settings["days"] == days
    lift = results.lifts(str(run), config.plan, store, 3, seed=0)["deepfm"]
    assert lift.name == "FM then DeepFM"
    assert lift.seconds == sum(results.progress(str(run), name).seconds for name in ("fm", "deepfm"))
    assert lift.at_equal_time is not None
    assert lift.at_equal_rows is not None
    assert lift.at_equal_rows.comparison != lift.at_equal_time.comparison or own.last == 1


def test_a_control_whose_days_are_not_known_yet_is_not_trained_on_all_there_are(config):
    own = with_controls(config)
    control = next(one for one in own.plan if one.days == "affordable")
    with pytest.raises(AssertionError, match="its days are not known"):
        Rank(own, log_of(5), "").on_rows_of(control)
