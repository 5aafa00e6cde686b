"""What trials are told: when they look, and what all of them start from."""

import pytest
from sweep_folder import RATE, settings_of

from pipeline.sweep.task import LOOKS, NEVER, shared_stages, with_looks
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
