"""The page of a retrain that registers nothing and one of whose stages fails, and of the same one taken up again."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click_logs import SPEC, write_random_log
from command import Done, nightjar
from html_reader import Reader
from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
SITE = "<i>site</i>"  # a column as a log may call it
STAGES = [
    {"name": "fm", "model": "fm", "epochs": 1, "batch_size": 64},
    {"name": "wild", "model": "fm", "batch_size": 64, "embedding": {"learning_rate": 1e30}},
]


@dataclass(frozen=True)
class Twice:
    """A retrain that registers nothing, and the same one asked for again, to be registered."""

    trial: dict[str, Any]
    registered: dict[str, Any]
    pages: tuple[Reader, Reader]
    client: MlflowClient


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Twice:
    folder = tmp_path_factory.mktemp("retrain")
    write_random_log(folder / "logs", num_days=3, rows_per_day=1000)
    for path in (folder / "logs").glob("*/*.parquet"):
        pq.write_table(pq.read_table(path).rename_columns({"site": SITE}), path)
    features = json.loads(json.dumps(SPEC).replace('"site"', f'"{SITE}"'))
    gate = {"num_replicates": 20, "golden_rows": 0, "slices": [SITE], "slice_min_rows": 100}
    config = {"data": {"logs_uri": "logs", "features": features}, "stages": STAGES, "night": {"gate": gate}}
    (folder / "train.yaml").write_text(yaml.safe_dump(config | {"cluster": {"num_workers": 0}}))
    client = MlflowClient(f"sqlite:///{folder}/.nightjar/mlflow.db")

    def trained(register: str) -> tuple[dict[str, Any], Reader]:
        done = nightjar("train", "--config", "train.yaml", "--json", "--register", register, cwd=folder)
        assert done.exit_code == 1, "a stage failed"
        summary = summary_of(done)
        artifacts = folder / ".nightjar" / "mlartifacts" / summary["run_id"] / "artifacts"
        return summary, Reader((artifacts / "report.html").read_text())

    (trial, first), (registered, second) = trained("none"), trained("best")
    return Twice(trial, registered, (first, second), client)


def summary_of(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_retrain_that_registers_nothing_says_so_on_its_page_and_has_no_gate(twice):
    page, ne = twice.pages[0], twice.trial["stages"]["fm"]["ne"]
    assert page.text["h1"] == ["Trained"]
    assert f"The best stage is fm, of NE {ne:.4f}; nothing was registered." in page.text["header"][0]
    assert "The gate" not in page.text["h2"]
    assert "earlier call" not in page.text["header"][0]


def test_a_stage_that_failed_stands_on_the_page_with_its_reason_beside_the_figures_of_the_others(twice):
    for page in twice.pages:
        assert page.text["li"][0] == f"wild: {twice.trial['failures']['wild']}"
        [fm] = [row for row in page.rows if row[0] == "fm · best"]
        assert fm[1] == f"{twice.trial['stages']['fm']['ne']:.4f}"
        [trained] = [row for row in page.rows if row[:2] == ["fm", "FM"]]
        assert trained[3:6] == ["2 days, 2026-11-01 to 2026-11-02", "2,000", "1"]


def test_what_a_log_calls_its_columns_is_text_on_the_page(twice):
    for page in twice.pages:
        assert [row[0] for row in page.rows if row[0] == SITE][:1] == [SITE]
        assert "i" not in page.tags


def test_a_retrain_that_goes_on_where_an_earlier_call_ended_writes_its_page_anew(twice):
    assert twice.registered["run_id"] == twice.trial["run_id"]
    page = twice.pages[1]
    assert page.text["h1"] == ["Promoted" if twice.registered["alias"] == "champion" else "Kept"]
    assert "An earlier call had begun this retrain" in page.text["header"][0]
    assert {"The gate", "Slices of the held-out rows"} <= set(page.text["h2"])
    assert ["Model", twice.registered["model_uri"]] in page.rows
    description = twice.client.get_run(twice.trial["run_id"]).data.tags["mlflow.note.content"]
    assert description == twice.registered["verdict"]


def test_the_page_says_where_the_time_of_its_call_went(twice):
    steps = [[row[0] for row in page.rows if len(row) == 7 and row[4].endswith(" s")] for page in twice.pages]
    assert {"Start the command", "Count values", "Encode rows", "Fit"} <= set(steps[0])
    assert {"train fm", "steps"} <= {phase["name"] for phase in twice.trial["phases"]}, "on the page, if they are long"
    assert steps[0][-1] == "Together"
    assert {"Score with champion", "Fit", "Register", "Gate"} <= set(steps[1])
    assert "Count values" not in steps[1], "the rows were encoded already"
