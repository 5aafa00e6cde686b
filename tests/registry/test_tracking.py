import contextlib
import json
import logging
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date

import pytest
from matplotlib.figure import Figure
from processes import hanging_up

from jobs import errors
from pipeline.registry import opening, run_log, server
from pipeline.registry.datasets import LogRows
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.run_log import RunLog
from pipeline.registry.tracking import Tracking, connect
from pipeline.runtime.progress import Point
from schemas.config import MLflowConfig
from schemas.errors import Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own

IDENTITY = "0123456789abcdef"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, config) -> Tracking:
    """SQLite; in a folder that does not exist yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return connect(config.mlflow, str(tmp_path_factory.mktemp("work") / "new"))


@pytest.fixture
def retrain(tracked, config, request):
    """Opens the runs of a retrain whose identity is the test's name."""

    @contextmanager
    def opened(identity: str = request.node.name) -> Iterator[Retrain]:
        with tracked.retrain(identity, "train 2026-11-19", config, '["a manifest"]') as run:
            run.open_stages(config.plan)
            yield run

    return opened


def statuses(run) -> dict[str, str]:
    client = run.tracking.client
    of = {name: client.get_run(run_id).info.status for name, run_id in run.tracking.stages_of(run.run_id).items()}
    return {"parent": client.get_run(run.run_id).info.status, **of}


def test_parameters_have_dotted_keys_and_stages_their_names():
    tree = {"seed": 1, "stages": [{"name": "fm", "mlp": {"hidden": [8, 4]}}], "data": {"features": {"label": "click"}}}
    expected = {"seed": "1", "stages.fm.name": "fm", "stages.fm.mlp.hidden": "[8, 4]"}
    assert dict(opening.flatten(tree)) == expected


def test_an_experiment_is_created_once_and_compares_runs_by_ne(tracked, config):
    experiment = tracked.client.get_experiment_by_name("nightjar")
    assert experiment.experiment_id == tracked.experiment_id
    assert experiment.tags["mlflow.experiment.primaryMetric.name"] == "test/ne"
    assert connect(MLflowConfig(tracking_uri=tracked.uri), "elsewhere") == tracked


def test_a_deleted_experiment_is_refused(tracked):
    config = MLflowConfig(tracking_uri=tracked.uri, experiment="deleted")
    tracked.client.delete_experiment(connect(config, "work").experiment_id)
    with pytest.raises(Refusal, match="deleted"):
        connect(config, "work")


def test_a_finished_retrain_is_one_parent_and_a_child_a_stage(tracked, retrain, config):
    with retrain(IDENTITY) as run:
        assert statuses(run) == {"parent": "RUNNING"}, "a stage has a run when it begins"
        run.log(Point("fm", 10, 100, {"train/ne": 1.5}))
        assert statuses(run) == {"parent": "RUNNING", "fm": "RUNNING"}
        assert tracked.client.get_run(run.run_id).info.run_name == "train 2026-11-19"
        for stage in ("fm", "deepfm"):
            run.finish_stage(stage, {"ne": 0.9, "gauc": float("nan"), "seconds": 3.0}, {"kernel": "fused"})
        run.log_best("deepfm", {"ne": 0.9})
        run.log_figures({"roc": Figure()})
        run.rename("deepfm best")
    assert statuses(run) == {"parent": "FINISHED", "fm": "FINISHED", "deepfm": "FINISHED"}

    parent, child = (tracked.client.get_run(run_id) for run_id in (run.run_id, run.stages["fm"]))
    assert parent.info.run_name == "train 2026-11-19 · deepfm best"
    assert parent.data.params["stages.deepfm.mlp.hidden"] == "[8]"
    assert parent.data.params["table.dimension"] == "4"
    assert parent.data.metrics == {"test/ne": 0.9, "test/fm/ne": 0.9, "test/deepfm/ne": 0.9}
    assert child.data.tags["mlflow.parentRunId"] == run.run_id
    assert child.data.params["model"] == "fm"
    assert child.data.tags["nightjar.kernel"] == "fused"
    assert child.data.metrics == {"train/ne": 1.5, "test/ne": 0.9, "total/seconds": 3.0}
    names = {artifact.path for artifact in tracked.client.list_artifacts(run.run_id)}
    assert names == {"config.yaml", "features.json", "manifest.json", "plots"}

    with retrain(IDENTITY) as run:
        pass
    found = tracked.find_finished(IDENTITY)
    assert (found.run_id, found.stages) == (run.run_id, run.stages)


def test_what_mlflows_pages_compare_runs_by_at_first_is_ne_and_no_factor_of_a_learning_rate(tracked, retrain):
    with retrain() as run:
        run.log(Point("fm", 10, 100, {"work/learning_rate_factor": 1.0, "train/log_loss": 0.5, "train/ne": 1.5}))
        run.log_final("progressive", {"rows": 100.0, "auc": 0.6, "ne": 0.9})
    first = [next(iter(tracked.client.get_run(run_id).data.metrics)) for run_id in (run.stage_run("fm"), run.run_id)]
    assert first == ["train/ne", "progressive/ne"]


def test_the_run_of_a_stage_lasts_as_long_as_the_stage_and_not_as_all_of_them(tracked, retrain):
    began, now = 1_700_000_000.0, 1_700_000_700.0
    with retrain() as run:
        log = pickle.loads(pickle.dumps(run.log))
        log(Point("fm", 10, 100, {"train/ne": 1.5}, began=began))
        again = pickle.loads(pickle.dumps(run.log))  # as an attempt after a failure has it, which goes on
        again(Point("fm", 20, 100, {"train/ne": 1.4}, began=began))
        again(Point("fm", 30, 100, {"train/ne": 1.3}, began=began))
        run.finish_stage("fm", {"ne": 0.9}, spell=(began, began + 90.5))
        run.finish_stage("deepfm", {"ne": 0.8}, spell=(began + 91, now))  # of whose beginning MLflow has not heard
    client = tracked.client
    fm, deepfm = (client.get_run(run.stages[stage]) for stage in ("fm", "deepfm"))
    assert (fm.info.end_time - fm.info.start_time, deepfm.info.end_time - deepfm.info.start_time) == (90_500, 609_000)
    assert [point.step for point in client.get_metric_history(fm.info.run_id, "train/ne")] == [10, 20, 30]


def test_a_run_says_what_it_is_where_it_comes_from_and_on_which_rows(tracked, retrain):
    days = (date(2026, 11, 18), date(2026, 11, 19))
    with retrain() as run:
        rows = [LogRows("training", "s3://key:secret@store/logs", days, 1500, "0f" * 8)]
        rows += [LogRows("validation", "/logs", (), 0, ""), LogRows("evaluation", "/logs", days[1:], 800, "f0" * 8)]
        for _ in range(2):
            run.log_data(rows)
            run.log_data(rows, "fm")
    for run_id, name, kind in ((run.run_id, "train 2026-11-19", "retrain"), (run.stages["fm"], "fm", "stage")):
        found = tracked.client.get_run(run_id)
        tags = found.data.tags
        assert (found.info.run_name, tags["nightjar.kind"], tags["mlflow.source.name"]) == (
            name,
            kind,
            "nightjar train",
        )
        assert re.fullmatch("[0-9a-f]{40}", tags["mlflow.source.git.commit"])
        inputs = {one.tags[0].value: one.dataset for one in found.inputs.dataset_inputs}
        names = {context: one.name for context, one in inputs.items()}
        assert names == {"training": "2 days to 2026-11-19, 1,500 rows", "evaluation": "2026-11-19, 800 rows"}
        assert "secret" not in inputs["training"].source
        assert json.loads(inputs["evaluation"].profile)["num_rows"] == 800
        assert len(found.inputs.dataset_inputs) == 2


def test_the_commit_of_a_run_is_of_the_repository_that_its_config_lies_in_else_of_nightjars(tmp_path):
    def git(*words: str) -> str:
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
        done = subprocess.run(
            ["git", *who, *words], cwd=tmp_path / "theirs", text=True, capture_output=True, check=True
        )
        return done.stdout.strip()

    before = opening._configs
    for folder in ("theirs", "nobodys"):
        (tmp_path / folder).mkdir()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "configs")
    found = {}
    for folder in ("theirs", "nobodys"):
        opening.configs_lie_in(tmp_path / folder)
        found[folder] = opening.origin("night")
    opening.configs_lie_in(before)
    assert found["theirs"]["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert found["nobodys"].get("mlflow.source.git.commit") == (opening._commit(opening.PACKAGE) or None)
    assert found["theirs"]["mlflow.source.name"] == "nightjar nightly"


def test_an_experiment_that_others_write_to_has_our_views_and_their_runs_as_they_were(tracked, config, tmp_path):
    client = tracked.client
    theirs = client.create_experiment(
        "of a team", str(tmp_path), tags={"mlflow.sharedViewState.nights": "changed by its owner"}
    )
    run_id = client.create_run(theirs, {"stage": "theirs"}).info.run_id
    before = client.get_run(run_id).to_dictionary()
    shared = connect(MLflowConfig(tracking_uri=tracked.uri, experiment="of a team"), "work")
    with shared.retrain("identity", "train 2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        run.finish_stage("fm", {"ne": 0.9})
    assert client.get_run(run_id).to_dictionary() == before
    tags = client.get_experiment(theirs).tags
    assert tags["mlflow.sharedViewState.nights"] == "changed by its owner"
    for view, expected in (("retrains", [run.run_id]), ("stages", [run.stages["fm"]]), ("trials", [])):
        state = json.loads(json.loads(tags[f"mlflow.sharedViewState.{view}"])["state"])
        assert [found.info.run_id for found in client.search_runs([theirs], state["searchFilter"])] == expected


def interrupted(opened: AbstractContextManager[Retrain], interrupt: Callable[[], object]) -> tuple[Retrain, str]:
    """The runs, after what interrupted them once one stage had finished, and its name."""
    try:
        with opened as run:
            run.finish_stage("fm", {"ne": 0.9})
            pickle.loads(pickle.dumps(run.log))(Point("deepfm", 1, 10, {"train/ne": 1.0}))  # in a worker, alone
            interrupt()
    except BaseException as error:
        return run, repr(error)
    raise AssertionError("nothing interrupted")


def control_c() -> None:
    raise KeyboardInterrupt


def sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def test_a_failure_fails_the_runs_that_it_interrupts(tracked, retrain, request):
    run, error = interrupted(retrain(), lambda: 1 / 0)
    assert error == "ZeroDivisionError('division by zero')"
    assert statuses(run) == {"parent": "FAILED", "fm": "FINISHED", "deepfm": "FAILED"}, "and of all that has begun"
    assert tracked.client.get_run(run.run_id).data.tags["mlflow.note.content"] == "division by zero"
    assert tracked.find_finished(request.node.name) is None


@pytest.mark.parametrize(
    ("interrupt", "raised"), [(control_c, "KeyboardInterrupt()"), (sigterm, "SystemExit(143)")], ids=["INT", "TERM"]
)
def test_control_c_and_sigterm_kill_the_runs_that_they_interrupt(retrain, interrupt, raised):
    before = signal.getsignal(signal.SIGTERM)
    run, error = interrupted(retrain("interrupted"), interrupt)
    assert error == raised
    assert statuses(run) == {"parent": "KILLED", "fm": "FINISHED", "deepfm": "KILLED"}
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_that_a_killed_driver_left_go_on_when_it_starts_again(retrain):
    abandoned = retrain()
    left = abandoned.__enter__()
    with retrain("another identity"):
        assert statuses(left)["parent"] == "RUNNING"
    with retrain() as run:
        assert (run.run_id, run.stages) == (left.run_id, left.stages)
        assert run.stage_run("fm") == left.stage_run("fm")
    assert set(statuses(left).values()) == {"FINISHED"}


def test_a_retrain_that_failed_goes_on_under_its_run_and_forgets_why(tracked, retrain):
    failed, _ = interrupted(retrain(), lambda: 1 / 0)
    with retrain() as run:
        assert run.run_id == failed.run_id
        assert statuses(run) == {"parent": "RUNNING", "fm": "FINISHED", "deepfm": "FAILED"}, "until rank 0 goes on"
        run.log(Point("deepfm", 2, 10, {"train/ne": 1.0}))
        assert statuses(run)["deepfm"] == "RUNNING"
        assert "mlflow.note.content" not in tracked.client.get_run(run.run_id).data.tags


def test_figures_and_a_description_stand_on_the_parent(tracked, retrain):
    with retrain() as run:
        run.log_final("progressive", {"ne": 0.8, "gauc": float("nan")})
        run.describe("Kept. It was worse.")
    parent = tracked.client.get_run(run.run_id)
    assert parent.data.metrics == {"progressive/ne": 0.8}
    assert parent.data.tags["mlflow.note.content"] == "Kept. It was worse."


def test_curves_are_logged_by_a_copy_in_another_process(tracked, retrain):
    with retrain() as run:
        log = pickle.loads(pickle.dumps(run.log))
        log(Point("deepfm", 10, 100, {"train/ne": 1.5, "work/data_wait": float("inf")}))
        log(Point("deepfm", 20, 100, {"train/ne": 1.25}))
        history = tracked.client.get_metric_history(run.stage_run("deepfm"), "train/ne")
        assert [(point.step, point.value) for point in history] == [(10, 1.5), (20, 1.25)]
        assert "work/data_wait" not in tracked.client.get_run(run.stages["deepfm"]).data.metrics


def test_curves_that_cannot_be_sent_are_kept_with_one_warning(caplog):
    with hanging_up() as (uri, requests), caplog.at_level(logging.WARNING):
        log = RunLog(uri, {"fm": "0123456789abcdef" * 2})
        for step in range(100):
            log(Point("fm", step, 100, {"train/ne": 1.0, "train/log_loss": 0.1}))
    assert sum(map(len, log._unsent.values())) == 200
    assert len([record for record in caplog.records if record.name == run_log.__name__]) == 1
    assert len(requests) == 2, "the first point is tried twice, and for a minute no other"


def test_a_database_that_has_lost_a_table_is_told_of_without_a_traceback(tracked, config, tmp_path, capfd):
    path = tmp_path / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(tracked.uri.removeprefix("sqlite:///"))) as whole,
        contextlib.closing(sqlite3.connect(path)) as damaged,
    ):
        whole.backup(damaged)
        damaged.execute("DROP TABLE runs")
    other = connect(MLflowConfig(tracking_uri=f"sqlite:///{path}"), str(tmp_path))
    with pytest.raises(server.errors()) as raised:
        other.opening("retrain", "train", {}, {}).open(other.client)
    assert re.search("does not take what it is sent: (no such )?table:? runs", errors.in_words(raised.value))
    assert "Traceback" not in capfd.readouterr().err
