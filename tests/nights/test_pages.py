"""What the morning's reader sees, in a browser: MLflow's pages of nights, and the report that each one links to."""

import copy
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
import yaml
from chromium import BINARY, Chromium, chromium
from click_logs import SPEC, write_random_log
from command import nightjar
from example_pages import AXES, RETRAIN, ROW_RATE, SWEEP
from mlflow import MlflowClient
from processes import free_port, running
from sweep_folder import settings_of

from jobs import browser as offer_script
from pipeline.registry import sweep_runs
from pipeline.registry.tracking import connect
from pipeline.report import retrain_page, sweep_page
from pipeline.report.page import REPORT
from pipeline.runtime.progress import Point
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.loading import load
from schemas.sweep import draw_trials

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # two trainings and a browser, on a machine that may be busy
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(BINARY is None, reason="no chromium, chromium-browser, google-chrome or chrome on PATH"),
]
USER = "user (hashed)"  # a column as a log may call it and MLflow no metric
NIGHTS = (date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4))
FEW_ROWS = 100  # of the last day, which its bounds stop
PARAMS = "?workflowType=machine_learning"
CLOSE_ASSISTANT = "document.querySelector('button[aria-label=Close]')?.click()"
SCROLLS = """(() => { const table = document.querySelector('.ag-center-cols-viewport');
return table.scrollWidth > table.clientWidth })()"""


@dataclass(frozen=True)
class Nights:
    """Three nights in a work folder, the last one stopped, and the server of their pages.

    In the same experiment are a retrain of two stages, a sweep of two trials and what others have recorded.
    """

    folder: Path
    url: str
    records: list[dict[str, Any]]
    others: dict[str, str]
    """The runs of the retrain and of the sweep, by what they are."""

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def of_run(self, record: dict[str, Any], page: str = "") -> str:
        return f"{self.url}/#/experiments/1/runs/{record['run_id']}{page}{PARAMS}"

    def report(self, record: dict[str, Any]) -> Path:
        return self.work / "mlartifacts" / record["run_id"] / "artifacts" / "report.html"

    def other(self, kind: str) -> dict[str, Any]:
        return {"run_id": self.others[kind]}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("pages")
    write_config_and_log(folder)
    others = record_others(folder)
    for day in NIGHTS:
        done = nightjar("nightly", "--config", "nightly.yaml", "--date", str(day), cwd=folder)
        assert done.exit_code == (4 if day == NIGHTS[-1] else 0), done.stderr
    written = sorted((folder / "work" / "nights" / "ctr").glob("*/*.json"))
    port = free_port()
    with running(["jobs", "ui", "--work", "work", "--port", str(port)], port, folder) as url:
        yield Nights(folder, url, [json.loads(path.read_text()) for path in written], others)


def write_config_and_log(folder: Path) -> None:
    write_random_log(folder / "logs", num_days=len(NIGHTS) + 1, rows_per_day=1000)
    for path in sorted((folder / "logs").glob("*/*.parquet")):
        table = pq.read_table(path).rename_columns({"user": USER})
        pq.write_table(table.slice(0, FEW_ROWS) if f"date={NIGHTS[-1]}" in str(path) else table, path)
    features: dict[str, Any] = copy.deepcopy(SPEC)
    features["group"] = features["fields"][0]["name"] = USER
    config = {
        "work_uri": "work",
        "data": {"logs_uri": "logs", "features": features},
        "stages": [{"name": "fm", "model": "fm", "batch_size": 64}],
        "cluster": {"num_workers": 0},
        "night": {"gate": {"max_auc_error": 0.5, "num_replicates": 20, "golden_rows": 0, "slices": ["site"]}},
    }
    (folder / "nightly.yaml").write_text(yaml.safe_dump(config))


def record_others(folder: Path) -> dict[str, str]:
    """By what a retrain and a sweep record with, which nothing has to be trained for."""
    config = load(TrainConfig, folder / "nightly.yaml", ["data.validation_share=0.1"])
    tracking = connect(config.mlflow, config.work_uri)
    tracking.client.log_metric(
        tracking.client.create_run(tracking.experiment_id, {"of": "others"}).info.run_id, "loss", 1
    )
    began = time.time() - 1000
    with tracking.retrain("a retrain", "train 2026-11-05", config, "[]") as run:
        stages = [config.stages[0], derived(config.stages[0], name="warm")]
        run.open_stages(stages)
        for number, stage in enumerate(stages):
            run.log(Point(stage.name, 10, 20, {"work/learning_rate_factor": 1.0, "train/ne": 1.1}, began=began))
            figures = {"ne": 0.91 - number / 100, "auc": 0.71, "rows_seen": 3000.0}
            run.finish_stage(stage.name, figures, spell=(began, began + 61))
        run.log_best("warm", {"ne": 0.9, "auc": 0.71, "calibration": 1.02})
        run.set_tag("nightjar.serves", "version 7")
        run.rename("warm best")
        run.log_text(REPORT, retrain_page.render(RETRAIN))
    key = "stages.fm.embedding.learning_rate"
    settings = settings_of({key: {"choice": [0.1, 0.0123456]}}, stage="fm", trials=2)
    trials = draw_trials(settings, folder / "nightly.yaml", ["data.validation_share=0.1"], "sweep.yaml")
    with sweep_runs.recorded(tracking, "a sweep", settings, config, trials) as runs:
        for trial in trials:
            runs.start_trial(trial.number)
            runs.finish_trial(trial.number, 0.8 + trial.number / 100, ("auc", 0.7))
        runs.log_text(REPORT, sweep_page.render(replace(SWEEP, axes=AXES)))
    return {"retrain": run.run_id, "sweep": runs.run_id}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def test_the_page_of_a_nights_run_opens_with_what_became_of_the_champion_and_lists_its_figures(nights, browser):
    for record in nights.records[:2]:
        browser.open(nights.of_run(record))
        shown = browser.shown(f"ctr, {record['day']}: {record['outcome'].capitalize()}:", "test/ne", "total/rows_seen")
        assert record["verdict"][1:] in shown
        assert f"nightjar.outcome: {record['outcome']}" in " ".join(shown.split()).replace(" :", ":")
        assert f"{record['candidate']['ne']:.12f}"[:12] in shown


def test_the_report_stands_in_the_runs_artifacts_with_the_verdict_and_the_gates_table(nights, browser):
    record = nights.records[1]
    browser.open(nights.of_run(record, "/artifacts/report.html"))
    shown = browser.shown("report.html", "The gate", "Versions", record["run_id"])
    assert f"Nightjar · ctr · {record['day']}\n\n{record['outcome'].capitalize()}" in shown
    assert f"{record['verdict'][1:]}." in shown
    assert "Rows\t1,000 held-out rows, at least 1,000 (night.gate.min_rows: 1000)." in shown
    assert re.search(rf"\t{record['candidate']['ne']:.4f} \(.*\)\t{record['champion']['ne']:.4f} \(.*\)\t", shown)
    assert f"\n{USER}\t0%\t4\t0%\t" in shown


def test_a_stopped_nights_report_says_which_bound_was_broken_and_who_serves_on(nights, browser):
    *_, before, stopped = nights.records
    browser.open(nights.of_run(stopped, "/artifacts/report.html"))
    shown = browser.shown("Stopped", "Versions", stopped["run_id"])
    assert "100, 0.1 times the 1,000 of 3 trailing days" in shown
    assert f"version {before['champion_uri'].split('/')[-1]} stays champion" in shown
    assert "The gate" not in shown


def test_a_retrains_page_shows_its_stages_and_the_gate_in_mlflows_artifacts(nights, browser):
    browser.open(nights.of_run(nights.other("retrain"), "/artifacts/report.html"))
    shown = browser.shown("report.html", "What was trained on what", "The gate", "Versions")
    assert "Version 8 (deepfm) is champion in place of version 7." in shown
    assert "deepfm · best\t0.8323\t0.8200 to 0.8500\t0.8104" in shown
    assert "deepfm-control: it diverged" in shown
    assert "NE (1: predicting the mean)" in shown, "its curves"


def test_a_sweeps_page_shows_its_keys_in_full_and_the_trials_in_mlflows_artifacts(nights, browser):
    browser.open(nights.of_run(nights.other("sweep"), "/artifacts/report.html"))
    shown = browser.shown("report.html", "Its neighbours", "Trials as parallel coordinates", "All trials")
    assert f"The best {ROW_RATE} lies at the bound 0.3 of what was drawn: draw beyond it as well." in shown
    assert f"\n{ROW_RATE}\t0.29\t" in shown
    assert "\nclearly worse" in shown or "\tclearly worse" in shown
    assert "2\t0.29\t0.01\t8 of 8\t3\t0.9664 ± 0.0011" in shown


def test_the_experiments_page_has_the_nights_side_by_side_in_a_view_of_their_own(nights, browser):
    browser.open(f"{nights.url}/#/experiments/1/runs{PARAMS}&viewStateShareKey=nights")
    names = [f"night {record['day']} · {record['outcome']}" for record in nights.records]
    shown = browser.shown("3 matching runs", "test/ne", "progressive/ne", "nightjar.serves", *names)
    assert [name for name in shown.split("\n") if name in names] == names[::-1], "the newest night first"
    for record in nights.records[:2]:
        assert f"{record['candidate']['ne']:.12f}"[:8] in shown
    assert [line for line in shown.split("\n") if re.fullmatch(r"version \d|nothing", line)] == [
        f"version {record['champion_uri'].split('/')[-1]}" for record in reversed(nights.records)
    ]


@pytest.mark.parametrize(
    ("view", "count", "words"),
    [
        ("retrains", "1 matching run", ["train 2026-11-05 · warm best", "version 7", "test/calibration"]),
        ("stages", "matching runs", ["fm (warm)", "train 2026-11-05", "night 2026-11-02", "1.0min"]),
        ("trials", "2 matching runs", ["trial 1", "trial 2", "sweep fm", "embedding.learning_rate 0.01235"]),
    ],
)
def test_each_view_shows_runs_of_one_kind_and_none_of_others_on_a_screen_of_1400_pixels(
    nights, browser, view, count, words
):
    browser.open(f"{nights.url}/#/experiments/1/runs{PARAMS}", 1400)
    browser.shown("matching runs")
    browser.value(CLOSE_ASSISTANT)
    browser.open(f"{nights.url}/#/experiments/1/runs{PARAMS}&viewStateShareKey={view}", 1400)
    shown = browser.shown(count, *words)
    assert "of others" not in shown
    assert f"\n{view.capitalize()}\n" in shown
    assert browser.value(SCROLLS) is False


def test_the_charts_of_a_view_begin_with_ne_and_auc(nights, browser):
    browser.open(f"{nights.url}/#/experiments/1/runs{PARAMS}&viewStateShareKey=stages&compareRunsMode=CHART")
    shown = browser.shown("NE and AUC", "test/ne", "test/auc", "fm (warm)", "sample")
    assert re.findall(r"\n([\w/ ]+)\n\(\d+\)\n", shown)[:2] == ["NE and AUC", "sample"]


def test_stages_and_nights_are_compared_by_ne_at_first(nights, browser):
    client = MlflowClient(f"sqlite:///{nights.work}/mlflow.db")
    stages = [run.info.run_id for run in client.search_runs(["1"], "tags.`nightjar.part_of` = 'train 2026-11-05'")]
    of_nights = [record["run_id"] for record in nights.records[:2]]
    for runs, named, metric in ((stages, "fm (warm)", "train/ne"), (of_nights, "night 2026-11-02", "test/ne")):
        asked = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps(['1']))}"
        browser.open(f"{nights.url}/#/compare-runs?{asked}&{PARAMS[1:]}")  # a page that takes these first alone
        assert f"Metrics:\n{metric}\n" in browser.shown("Run details", "Clear All", named)


def test_the_page_that_is_printed_is_of_training_and_of_the_newest_runs_kind(nights, browser):
    printed = (nights.folder / "server.log").read_text().split("\n")[1].strip()
    assert printed == f"{nights.url}/#/experiments/1/runs{PARAMS}&viewStateShareKey=nights"
    browser.open(printed)
    browser.shown("Model training", "Model registry", "3 matching runs")


def test_the_registrys_pages_say_who_is_champion_and_since_when_and_link_a_version_to_its_runs(nights, browser):
    night = nights.records[0]
    number = night["candidate_uri"].rpartition("/")[2]
    browser.open(f"{nights.url}/#/models/ctr{PARAMS}")
    shown = browser.shown("Probabilities of a click", "is champion: NE 0.", f"version {number} promoted")
    assert "1,000 rows" in shown
    browser.open(f"{nights.url}/#/models/ctr/versions/{number}{PARAMS}")
    shown = browser.shown(f"on {night['day']}, 1,000 rows.", f"night {night['day']} · fm")
    assert night["verdict"] in shown
    links = "[...document.querySelectorAll('a')].map(link => link.href)"
    assert any(nights.of_run(night) == link for link in browser.value(links))


def test_the_models_tab_compares_stages_by_the_rows_that_they_were_judged_on(nights, browser):
    browser.open(f"{nights.url}/#/experiments/1/models{PARAMS}", width=2400)
    day = nights.records[0]["day"]
    shown = browser.shown("Ready", f"{day}, 1,000 rows", "ctr")
    assert f"{nights.records[0]['candidate']['ne']:.12f}"[:6] in shown


def test_a_port_that_somebody_listens_on_is_refused_with_one_that_is_free(nights):
    port = int(nights.url.rpartition(":")[2])
    done = nightjar("ui", "--work", "work", "--port", str(port), cwd=nights.folder)
    assert done.exit_code == 2
    assert f"port {port}: address already in use" in done.stderr
    assert f"--port {port + 1} is free" in done.stderr or "is free" in done.stderr


def test_the_pages_over_tables_of_an_older_mlflow_are_refused_with_how_to_upgrade_them(nights, tmp_path):
    (tmp_path / "work").mkdir()
    path = tmp_path / "work" / "mlflow.db"
    with closing(sqlite3.connect(nights.work / "mlflow.db")) as whole, closing(sqlite3.connect(path)) as older, older:
        whole.backup(older)
        older.execute("UPDATE alembic_version SET version_num = '0a1b2c'")
    before = path.read_bytes()
    done = nightjar("ui", "--work", "work", "--port", str(free_port()), cwd=tmp_path)
    assert (done.exit_code, path.read_bytes()) == (2, before)
    assert f"mlflow db upgrade sqlite:///{path}" in done.stderr


def test_a_browser_is_opened_where_there_is_one_and_else_said_to_be_on_another_machine(nights, tmp_path):
    asked = f"{nights.url}/#/experiments/1/runs{PARAMS}"
    without = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    }
    command = [sys.executable, "-P", offer_script.__file__, asked]
    said = subprocess.run(command, env=without, text=True, capture_output=True, check=True, input="\n").stdout
    assert said.startswith("no browser on this machine; from another: ssh -L ")
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    script.chmod(0o755)
    subprocess.run(
        command, env={**without, "BROWSER": f"{script} %s"}, text=True, capture_output=True, check=True, input="\n"
    )
    assert (tmp_path / "opened").read_text() == asked


def test_nights_have_the_same_parameters_and_a_share_of_unseen_values_by_column(nights):
    client = MlflowClient(f"sqlite:///{nights.work}/mlflow.db")
    runs = [client.get_run(record["run_id"]) for record in nights.records]
    assert len({frozenset(run.data.params) for run in runs}) == 1
    assert runs[1].data.metrics["unseen/user__hashed_"] == 0
    assert client.get_experiment("1").tags["mlflow.experiment.primaryMetric.name"] == "test/ne"


@pytest.mark.parametrize("width", [1100, 760, 500])
def test_no_table_of_a_report_is_cut_nor_does_the_page_scroll_sideways(nights, browser, width):
    for record in nights.records:
        browser.open(nights.report(record).as_uri(), width)
        browser.shown("Versions", record["run_id"])
        cut = "[...document.querySelectorAll('.scroll')].filter(table => table.scrollWidth > table.clientWidth).length"
        assert browser.value(cut) == 0
        assert browser.value("document.documentElement.scrollWidth") <= width
    for kind in ("retrain", "sweep"):
        browser.open(nights.report(nights.other(kind)).as_uri(), width)
        browser.shown("Versions")
        assert browser.value("document.documentElement.scrollWidth") <= width
