"""Whole runs of the command on logs that are divided into days in other ways: each comes to the default's results."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click_logs import SPEC
from command import Done, nightjar
from layouts import DAYS, LAYOUTS, laid_out
from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
STAGES = [{"name": "fm", "model": "fm", "epochs": 1, "batch_size": 64}]
GATE = {"min_rows": 1, "min_positives": 1, "max_ne": 9, "min_auc": 0, "calibration": [0.01, 100]}
FIGURES = ("ne", "auc", "log_loss", "rows", "positives")


def run(folder: Path, *arguments: str) -> Done:
    done = nightjar(*arguments, cwd=folder)
    assert done.exit_code == 0, done.stderr
    return done


def config_on(name: str, folder: Path) -> Path:
    """A folder with the log and a config."""
    laid_out(name, folder / "logs")
    data = {"logs_uri": "logs", "features": SPEC, "partitioning": LAYOUTS[name].partitioning}
    night = {"start": "cold", "complete": "later_day", "gate": GATE}
    config = {"data": data, "stages": STAGES, "cluster": {"num_workers": 0}, "night": night}
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def by_default(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(config_on("day", tmp_path_factory.mktemp("default")))


def results_of(folder: Path) -> dict[str, Any]:
    """What the verbs that read days come to, but for what they say of places and times."""
    trained = json.loads(run(folder, "train", "--config", "my.yaml", "--json").stdout.splitlines()[-1])
    model = ("--model", "models:/ctr/1")
    judged = json.loads(run(folder, "evaluate", "--config", "my.yaml", *model, "--json").stdout.splitlines()[-1])
    run(folder, "score", "--config", "my.yaml", *model, "--date", str(DAYS[0]), "--out", "scores")
    scored = pq.read_table(folder / "scores", columns=["row", "probability"])
    return {
        "trained": {key: trained["stages"]["fm"][key] for key in FIGURES},
        "judged": {key: judged[key] for key in FIGURES},
        "scored": scored.to_pydict(),
    }


@pytest.mark.parametrize("name", ["hour", "flat"])
def test_train_and_score_come_to_the_default_s_very_bits_and_evaluate_too_but_for_the_order_of_its_sums(
    tmp_path, name, by_default
):
    found = results_of(config_on(name, tmp_path))
    assert found.pop("judged") == pytest.approx(by_default["judged"], rel=1e-12)
    assert found == {key: by_default[key] for key in found}


@pytest.mark.parametrize("name", ["hour", "flat"])
def test_nights_plan_and_status_go_by_the_days_of_the_layout_and_the_page_says_their_timezone(tmp_path, name):
    folder = config_on(name, tmp_path)
    config = ("--config", "my.yaml", "--set", "data.timezone=Africa/Lagos" if name == "hour" else "data.timezone=UTC")
    zone = config[-1].partition("=")[2]
    assert f"hold out      192 rows of {DAYS[1]}" in run(folder, "plan", *config).stdout
    assert run(folder, "nightly", *config).stdout.startswith(f"{DAYS[1]}: ")
    assert re.search(rf"days of the log without a night: .*{DAYS[2]}", run(folder, "status", *config).stdout)
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")
    experiment = client.get_experiment_by_name("nightjar")
    assert experiment
    (night,) = client.search_runs([experiment.experiment_id], "tags.`nightjar.kind` = 'night'")
    assert night.data.tags["nightjar.timezone"] == night.data.params["data.timezone"] == zone
    assert night.data.params["data.partitioning.by"] == LAYOUTS[name].partitioning["by"]
    page = Path(client.download_artifacts(night.info.run_id, "report.html")).read_text()
    assert "imezone of the days" in page
    assert zone in page
    assert f"complete: {DAYS[2]}" not in page


def test_a_day_without_an_hour_stops_the_night_and_its_hour_is_named(tmp_path):
    folder = config_on("hour", tmp_path)
    (folder / f"logs/date={DAYS[1]}/hour=05/part-0.parquet").unlink()
    done = nightjar("nightly", "--config", "my.yaml", "--date", str(DAYS[1]), cwd=folder)
    assert done.exit_code == 2
    assert f"found     {DAYS[1]} without hour 05" in done.stderr
    assert not (folder / ".nightjar").exists()
    trained = run(folder, "train", "--config", "my.yaml")
    assert f"{DAYS[1]} without hour 05" in trained.stderr
