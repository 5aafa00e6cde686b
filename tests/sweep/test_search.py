"""What is drawn, what is refused before anything is trained, and a whole sweep of a tiny log."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from click_logs import SPEC, write_random_log
from command import nightjar
from mlflow import MlflowClient

from pipeline.registry import sweep_runs
from pipeline.registry.sweep_runs import SweepRuns
from pipeline.registry.tracking import connect
from pipeline.sweep.search import NEVER, as_yaml, shared_stages, with_looks
from schemas import sweep as schema
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import SweepConfig, draw, draw_trials, lineage

RATE, DENSE_RATE = "stages.fnn.embedding.learning_rate", "stages.fnn.optimizer.learning_rate"
CONFIG = {
    "data": {"logs_uri": "logs", "features": "features.yaml", "validation_share": 0.2},
    "stages": [
        {"name": "fm", "model": "fm", "batch_size": 64},
        {"name": "fnn", "model": "fnn", "init_from": "fm", "batch_size": 64, "mlp": {"hidden": [8]}, "epochs": 2},
        {"name": "dnn", "model": "dnn", "batch_size": 64},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the config, and a sweep of it."""
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    write_sweep(tmp_path)
    return tmp_path


def write_sweep(folder: Path, **changes: object) -> None:
    sweep = {"stage": "fnn", "space": {RATE: {"log_uniform": [0.001, 0.1]}}, **changes}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))


def settings_of(space: dict[str, object], **changes: object) -> SweepConfig:
    return SweepConfig.model_validate({"stage": "fnn", "space": space, **changes})


def refused(folder: Path, *arguments: str) -> str:
    done = nightjar(
        "sweep", "--config", "train.yaml", "--sweep", "sweep.yaml", "--out", "best.yaml", *arguments, cwd=folder
    )
    assert done.exit_code == 2, done.stderr
    assert {line.split()[0] for line in done.stderr.splitlines()[1:]} == {"found", "expected", "where", "remedy"}
    assert not (folder / ".nightjar").exists(), "neither MLflow nor Ray was begun with"
    return done.stderr


def test_draws_lie_within_their_bounds_and_no_two_trials_are_alike():
    space = {
        "a": {"uniform": [-1, 1]},
        "b": {"log_uniform": [1e-4, 1]},
        "c": {"integer": [2, 4]},
        "d": {"choice": "xy"},
    }
    space["d"] = {"choice": ["x", [1, 2]]}
    trials = draw(settings_of(space, trials=200))
    assert len({json.dumps(values) for values in trials}) == 200
    assert all(-1 <= values["a"] <= 1 and 1e-4 <= values["b"] <= 1 for values in trials)
    assert {values["c"] for values in trials} == {2, 3, 4}
    assert {str(values["d"]) for values in trials} == {"x", "[1, 2]"}
    small = sum(values["b"] < 0.01 for values in trials)
    assert 70 < small < 130, "half of the draws of a logarithm lie in the lower half of the powers of ten"


def test_more_trials_begin_with_the_fewer_and_another_seed_draws_others():
    space = {RATE: {"log_uniform": [0.001, 0.1]}, "table.dimension": {"integer": [4, 64]}}
    eight = draw(settings_of(space, trials=8))
    assert draw(settings_of(space, trials=16))[:8] == eight
    assert draw(settings_of(dict(reversed(space.items())), trials=8)) == eight, "whatever the order of the keys"
    assert draw(settings_of(space, trials=8, seed=1)) != eight


def test_a_space_of_six_gives_six_trials_at_most():
    space = {"table.dimension": {"integer": [1, 3]}, RATE: {"choice": [0.1, 0.2]}}
    assert len(draw(settings_of(space, trials=16))) == 6


@pytest.mark.parametrize(
    ("changes", "found", "remedy_or_expected"),
    [
        ({"space": {RATE: {"choice": []}}}, "[]", "at least 1 item"),
        ({"space": {RATE: {"uniform": [0.2, 0.1]}}}, "[0.2, 0.1]", "0.2 is not below 0.1"),
        ({"space": {RATE: {"integer": [3, 3]}}}, "[3, 3]", "3 is not below 3"),
        ({"space": {RATE: {"log_uniform": [0, 0.1]}}}, "[0, 0.1]", "above 0"),
        ({"space": {RATE: {"uniform": [0, 1], "choice": [1]}}}, "these keys", "exactly one of choice"),
        ({"space": {RATE: {"log_unifrom": [0.1, 1]}}}, "unknown key 'log_unifrom'", "did you mean 'log_uniform'?"),
        ({"space": {}}, "these keys", "at least 1 item"),
        ({"trails": 3}, "unknown key 'trails'", "did you mean 'trials'?"),
        ({"stage": "deepfm"}, "stage 'deepfm'", "fm, fnn, dnn"),
        ({"space": {"data.negative_share": {"uniform": [0.1, 1]}}}, "key 'data.negative_share'", "share their rows"),
        ({"space": {"seed": {"integer": [0, 9]}}}, "key 'seed'", "share their rows"),
        ({"space": {"stages.dnn.epochs": {"uniform": [1, 2]}}}, "does not start from", "keys of fm, fnn, or of table"),
        ({"space": {"stages.2.epochs": {"uniform": [1, 2]}}}, "does not start from", "keys of fm, fnn, or of table"),
        ({"space": {"stages.fnn.embedding.rate": {"uniform": [1, 2]}}}, "unknown key 'rate'", "from sweep.yaml"),
        ({"space": {"table.dimension": {"choice": ["wide"]}}}, "'wide'", "correct the value"),
        ({"space": {"stages.ffm.epochs": {"uniform": [1, 2]}}}, "'ffm'", "name the element as the config does"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(folder, changes, found, remedy_or_expected):
    write_sweep(folder, **{"trials": 2, "seed": 3, **changes})
    message = refused(folder)
    assert found in message
    assert remedy_or_expected in message


def test_trials_without_validation_rows_are_refused(folder):
    assert "data.validation_share=0.05" in refused(folder, "--set", "data.validation_share=0")


def test_a_stage_that_starts_from_a_registered_model_is_refused(folder):
    assert "models:/ctr@champion" in refused(folder, "--set", "stages.fnn.init_from=models:/ctr@champion")


def test_a_file_that_is_there_is_not_replaced_unasked(folder):
    (folder / "best.yaml").write_text("mine")
    assert "--force" in refused(folder)
    assert (folder / "best.yaml").read_text() == "mine"


def test_a_draw_that_the_config_refuses_is_a_trial_of_its_own(folder):
    settings = settings_of({RATE: {"choice": [-1, 0.1]}}, trials=2)
    trials = draw_trials(settings, folder / "train.yaml", ["seed=7"], "sweep.yaml")
    of_rate = {trial.values[RATE]: trial for trial in trials}
    assert of_rate[0.1].config.stages[1].embedding.learning_rate == 0.1
    assert of_rate[0.1].config.seed == 7
    assert of_rate[-1].config is None
    assert "greater than 0" in of_rate[-1].refusal.expected


def test_a_stage_looks_as_its_config_says_or_else_without_ever_stopping(folder):
    config = load(TrainConfig, folder / "train.yaml")
    watched = with_looks(config, "fnn", 0.25)
    assert watched.stages[1].early_stop.model_dump() == {"every_epochs": 0.25, "patience": NEVER}
    assert (watched.stages[0], watched.stages[2]) == (config.stages[0], config.stages[2])
    assert with_looks(watched, "fnn", 0.5) == watched


def test_a_control_is_swept_as_its_stage(folder):
    config = load(TrainConfig, folder / "train.yaml", ["control=true"])
    sweep = SweepConfig.model_validate(
        {"stage": "fnn-control", "space": {"stages.fnn.control.embedding.learning_rate": {"uniform": [0.1, 1]}}}
    )
    schema.check(sweep, config, "sweep.yaml")
    assert lineage(with_looks(config, "fnn-control", 0.25), "fnn-control")[0].early_stop is not None
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


def test_the_best_config_holds_wherever_it_lies(folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = load(TrainConfig, folder / "train.yaml", ["mlflow.tracking_uri=sqlite:///runs.db"])
    text = as_yaml(config, "nightjar sweep --set 'a=\nb' --set u=http://me:secret@host")
    assert text.splitlines()[0] == "# nightjar sweep --set 'a= b' --set u=http://***@host"
    (folder / "deep").mkdir()
    (folder / "deep" / "best.yaml").write_text(text)
    monkeypatch.chdir("/")
    again = load(TrainConfig, folder / "deep" / "best.yaml")
    assert again.work_uri == f"{folder}/.nightjar"
    assert again.data.logs_uri == f"{folder}/logs"
    assert again.mlflow.tracking_uri == f"sqlite:///{folder}/runs.db"
    assert again.data.features == config.data.features
    assert again.stages == config.stages


def test_help_shows_an_example(tmp_path):
    done = nightjar("sweep", "--help", cwd=tmp_path)
    assert "nightjar sweep" in done.stdout.partition("Example:")[2]


def stopped(opened: AbstractContextManager[SweepRuns], stop: type[BaseException]) -> SweepRuns:
    """The runs, after one trial has ended well, another badly and a third has looked once."""
    try:
        with opened as runs:
            runs.log_look(1, 0.9, 10)
            runs.finish_trial(1, 0.9)
            runs.fail_trial(2, "it diverged")
            runs.log_look(3, 0.8, 10)
            raise stop
    except stop:
        return runs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own
@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (ZeroDivisionError, "FAILED")]
)
def test_trials_that_are_over_keep_their_status_when_the_sweep_is_stopped(folder, monkeypatch, stop, status):
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


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_the_best_trial_is_written_recorded_and_not_trained_twice(folder, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_random_log(folder / "logs", num_days=3, rows_per_day=1000)
    rates = [0.002, 0.05, -1, "1e30"]
    write_sweep(folder, trials=4, concurrent=2, space={DENSE_RATE: {"choice": rates}})
    command = ("sweep", "--config", "train.yaml", "--sweep", "sweep.yaml", "--out", "best.yaml", "--json")
    done = nightjar(*command, cwd=folder)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    outcomes = {str(outcome["values"][DENSE_RATE]): outcome for outcome in found["outcomes"]}
    assert set(outcomes) == set(map(str, rates))
    assert "stage 'fnn', step 1: the loss" in outcomes["1e30"]["failure"]
    assert "greater than 0" in outcomes["-1"]["failure"]

    best_nes = {rate: min(ne for _, ne in outcomes[rate]["looks"]) for rate in ("0.002", "0.05")}
    winner = min(best_nes, key=best_nes.__getitem__)
    assert found["best_ne"] == best_nes[winner]
    assert found["best_trial"] == outcomes[winner]["number"]
    best = load(TrainConfig, folder / "best.yaml")
    assert best.stages[1].optimizer.learning_rate == float(winner)
    assert best.stages[0] == load(TrainConfig, folder / "train.yaml").stages[0]
    first_line = (folder / "best.yaml").read_text().splitlines()[0]
    assert f"nightjar {' '.join(command)}: trial" in first_line
    assert f"validation NE {best_nes[winner]:.6g}" in first_line

    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    parent = client.get_run(found["run_id"])
    assert (parent.info.run_name, parent.info.status) == ("sweep fnn", "FINISHED")
    assert parent.data.params[DENSE_RATE] == winner
    assert parent.data.metrics == {"validation/best_ne": found["best_ne"]}
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert names == {"best.yaml", "config.yaml", "sweep.yaml"}
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    statuses = {child.data.params[DENSE_RATE]: child.info.status for child in children}
    assert statuses == {"0.002": "FINISHED", "0.05": "FINISHED", "-1": "FAILED", "1e30": "FAILED"}
    for child in children:
        rate = child.data.params[DENSE_RATE]
        if rate in best_nes:
            curve = client.get_metric_history(child.info.run_id, "validation/ne")
            assert [[point.step, point.value] for point in sorted(curve, key=lambda point: point.step)] == outcomes[
                rate
            ]["looks"]
            assert child.data.metrics["validation/best_ne"] == best_nes[rate]

    (sweep_folder,) = (folder / ".nightjar" / "sweeps").iterdir()
    assert [path.name for path in sweep_folder.iterdir()] == ["summary.json"]
    again = nightjar(*command, "--force", cwd=folder)
    assert json.loads(again.stdout.splitlines()[-1]) == found
    assert len(client.search_runs([parent.info.experiment_id])) == 5
