"""What trials are told: when they look, and what all of them start from."""

from datetime import date, timedelta

import pytest
from sweep_folder import RATE, settings_of, task_of

from pipeline.data.store import Store, StoredPart
from pipeline.sweep.outcome import Look
from pipeline.sweep.task import LOOKS, NEVER, Task, shared_stages, with_looks
from schemas import sweep as schema
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import SweepConfig, draw_trials, lineage


def test_a_stage_looks_as_its_config_says_or_else_without_ever_stopping(folder):
    config = load(TrainConfig, folder / "train.yaml")
    watched = with_looks(config, "fnn")
    every = config.stages[1].epochs / LOOKS
    assert watched.stages[1].early_stop.model_dump() == {"every_epochs": every, "patience": NEVER}
    assert (watched.stages[0], watched.stages[2]) == (config.stages[0], config.stages[2])
    assert with_looks(watched, "fnn") == watched


def test_a_control_is_swept_as_its_stage(folder):
    config = load(TrainConfig, folder / "train.yaml", ["control=true"])
    sweep = SweepConfig.model_validate(
        {"stage": "fnn-control", "space": {"stages.fnn.control.embedding.learning_rate": {"uniform": [0.1, 1]}}}
    )
    schema.check(sweep, config, "sweep.yaml")
    assert lineage(with_looks(config, "fnn-control"), "fnn-control")[0].early_stop is not None
    assert [stage.name for stage in lineage(config, "fnn-control")] == ["fnn-control"]


DAYS = [date(2026, 11, 1) + timedelta(day) for day in range(10)]


def test_a_control_is_swept_on_the_days_of_its_stage_as_no_trial_tells_what_its_time_would_buy(folder):
    config = load(TrainConfig, folder / "train.yaml", ["control=true", "stages.fnn.days={last: 3}"])
    assert config.plan[2].days == "affordable"
    (control,) = lineage(config, "fnn-control")
    assert config.span_of(control).of(DAYS) == tuple(DAYS[-3:])


def test_a_trial_is_known_to_look_as_often_as_it_does_on_the_rows_of_its_stage(folder):
    config = load(TrainConfig, folder / "train.yaml", ["stages.fnn.days={last: 1}", "stages.fnn.batch_size=10"])
    store = Store("nowhere", 40, tuple(StoredPart("train", day, 0, num_rows=101, num_positives=1) for day in DAYS))
    task = Task("fnn", {1: with_looks(config, "fnn")}, store, "nowhere", ())
    # Ten steps, with a look after each, and not 101 with one after every thirteenth.
    assert task.num_looks(1) == 10


@pytest.mark.parametrize(
    ("space", "shared"),
    [
        ({RATE: {"choice": [0.1, 0.2]}}, ["fm"]),
        ({"stages.fm.embedding.learning_rate": {"choice": [0.1, 0.2]}}, []),
        ({"stages.0.epochs": {"choice": [1, 2]}}, []),
        ({"stages.fnn.init_from": {"choice": ["fm", None]}}, []),
        ({"table.init_deviation": {"choice": [0.01, 0.02]}}, []),
    ],
)
def test_what_no_drawn_value_reaches_is_trained_once(folder, space, shared):
    trials = draw_trials(settings_of(space, trials=2), folder / "train.yaml", [], "sweep.yaml")
    stages = shared_stages([trial.config for trial in trials], "fnn")
    assert [stage.name for stage in stages] == shared


def test_the_other_seeds_train_the_same_trials_on_the_same_rows_each_in_a_folder_of_its_own(folder):
    task = task_of(folder, "seed=2147483646")
    tasks = task.of_seeds(3)
    assert tasks[0] is task
    assert [one.configs[1].seed for one in tasks.values()] == [2147483646, 2147483647, 0], "as many as there are"
    assert len({one.trial_uri(1) for one in tasks.values()} | {one.shared_uri for one in tasks.values()}) == 6
    for one in tasks.values():
        assert one.store == task.store
        assert one.configs[2].stages == task.configs[2].stages
        assert one.shared == task.shared


def test_a_trial_has_ended_by_its_last_look_or_by_an_early_stop_of_its_own(folder):
    task, patient = task_of(folder), task_of(folder, "stages.fnn.early_stop={every_epochs: 0.25, patience: 2}")
    falling = [Look(i, 0.9 - i / 100, 0.6) for i in range(LOOKS)]
    assert task.num_looks(1) == patient.num_looks(1) == LOOKS
    assert [task.has_ended(1, falling[:count]) for count in (0, 1, LOOKS - 1, LOOKS)] == [False, False, False, True]
    rising = falling[:3][::-1]
    assert not task.has_ended(1, rising)
    assert [patient.has_ended(1, looks) for looks in (rising[:2], rising, falling[:3])] == [False, True, False]
