"""What the morning's reader sees, in a browser: MLflow's pages of nights, and the report that each one links to."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from chromium import BINARY, Chromium, chromium
from click_logs import SPEC, write_random_log
from command import nightjar
from mlflow import MlflowClient
from processes import free_port, running

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


@dataclass(frozen=True)
class Nights:
    """Three nights in a work folder, the last one stopped, and the server of their pages."""

    folder: Path
    url: str
    records: list[dict[str, Any]]

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def of_run(self, record: dict[str, Any], page: str = "") -> str:
        return f"{self.url}/#/experiments/1/runs/{record['run_id']}{page}{PARAMS}"

    def report(self, record: dict[str, Any]) -> Path:
        return self.work / "mlartifacts" / record["run_id"] / "artifacts" / "report.html"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("pages")
    write_config_and_log(folder)
    for day in NIGHTS:
        done = nightjar("nightly", "--config", "nightly.yaml", "--date", str(day), cwd=folder)
        assert done.exit_code == (4 if day == NIGHTS[-1] else 0), done.stderr
    written = sorted((folder / "work" / "nights" / "ctr").glob("*/*.json"))
    port = free_port()
    with running(["jobs", "ui", "--work", "work", "--port", str(port)], port, folder) as url:
        yield Nights(folder, url, [json.loads(path.read_text()) for path in written])


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
    assert "Rows\t1,000 held-out rows, at least 1,000." in shown
    assert f"\t{record['candidate']['ne']:.4f}\t{record['champion']['ne']:.4f}\t" in shown
    assert f"\n{USER}\t0%\t4\t0%\t" in shown


def test_a_stopped_nights_report_says_which_bound_was_broken_and_who_serves_on(nights, browser):
    *_, before, stopped = nights.records
    browser.open(nights.of_run(stopped, "/artifacts/report.html"))
    shown = browser.shown("Stopped", "Versions", stopped["run_id"])
    assert "100, 0.1 times the 1,000 of 3 trailing days" in shown
    assert f"version {before['champion_uri'].split('/')[-1]} stays champion" in shown
    assert "The gate" not in shown


def test_the_experiments_page_has_the_nights_side_by_side_in_a_view_of_their_own(nights, browser):
    browser.open(f"{nights.url}/#/experiments/1/runs{PARAMS}&viewStateShareKey=nights")
    names = [f"{record['day']} {record['key'][:6]}" for record in nights.records]
    shown = browser.shown("3 matching runs", "test/ne", "progressive/ne", "nightjar.outcome", *names)
    assert [name for name in shown.split("\n") if name in names] == names[::-1], "the newest night first"
    for record in nights.records[:2]:
        assert f"{record['candidate']['ne']:.12f}"[:8] in shown
    assert [line for line in shown.split("\n") if line in ("promoted", "kept", "stopped")] == [
        record["outcome"] for record in reversed(nights.records)
    ]


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
