"""A sweep's runs, when the sweep is stopped."""

import json
from contextlib import AbstractContextManager

import pytest
from sweep_folder import RATE, settings_of, write_config

from pipeline.registry import sweep_runs
from pipeline.registry.sweep_runs import SweepRuns
from pipeline.registry.tracking import connect
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import draw_trials


def stopped(opened: AbstractContextManager[SweepRuns], stop: type[BaseException]) -> SweepRuns:
    """The runs, after one trial has ended well, another badly and a third has looked once."""
    try:
        with opened as runs:
            runs.log_look(1, 10, 0.9, ("auc", 0.6))
            runs.finish_trial(1, 0.9, ("auc", 0.6))
            runs.fail_trial(2, "it diverged")
            runs.log_look(3, 10, 0.8, ("auc", 0.7))
            raise stop
    except stop:
        return runs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own
@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (ZeroDivisionError, "FAILED")]
)
def test_trials_that_are_over_keep_their_status_when_the_sweep_is_stopped(tmp_path, monkeypatch, stop, status):
    folder = write_config(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = load(TrainConfig, folder / "train.yaml")
    settings = settings_of({RATE: {"uniform": [0.1, 0.2]}, "stages.fnn.schedule": {"choice": [{"type": "constant"}]}})
    trials = draw_trials(settings, folder / "train.yaml", [], "sweep.yaml")[:4]
    tracking = connect(config.mlflow, str(folder))
    runs = stopped(sweep_runs.recorded(tracking, "identity", settings, config, trials), stop)
    statuses = {number: tracking.client.get_run(run_id).info.status for number, run_id in runs.trials.items()}
    assert statuses == {1: "FINISHED", 2: "FAILED", 3: status, 4: status}
    assert tracking.client.get_run(runs.run_id).info.status == status
    assert tracking.client.get_run(runs.trials[2]).data.tags["mlflow.note.content"] == "it diverged"
    assert json.loads(tracking.client.get_run(runs.trials[1]).data.params["stages.fnn.schedule"]) == {
        "type": "constant"
    }
