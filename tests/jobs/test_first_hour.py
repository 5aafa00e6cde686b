"""The newcomer's page, jobs/first-hour.md, is run as it stands there, but for the ports, which may be in use."""

import contextlib
import json
import shlex
import sys
import urllib.request
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import data_of
from command import nightjar
from processes import free_port, running
from run_page import blocks, shell

from pipeline.data import logs
from schemas.features import FeatureSpec

PAGE = Path(__file__).parents[2] / "jobs" / "first-hour.md"
LAYOUTS = "## Other layouts"
SERVERS = {"ui": "5000", "serve": "5002"}


@pytest.mark.slow
@pytest.mark.timeout(600)  # a training, two nights and three servers, on a machine that may be busy
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_the_first_hour_goes_from_a_csv_to_nights_and_a_served_model_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    text, said = PAGE.read_text().partition(LAYOUTS)[0], dict[str, str]()
    ports = {verb: str(free_port()) for verb in SERVERS}
    for verb, port in SERVERS.items():
        assert f"nightjar {verb} " in text
        text = text.replace(port, ports[verb])
    with contextlib.ExitStack() as servers:
        for name, line in blocks(text):
            program, *arguments = shlex.split(line) if not name else [""]
            if name and (tmp_path / name).exists():
                assert (tmp_path / name).read_text() == line, "what a command has written stands on the page"
            elif name:
                (tmp_path / name).write_text(line)
            elif program != "nightjar":
                said[line] = shell(line, tmp_path)
            elif arguments[0] in ports:
                servers.enter_context(running(["jobs", *arguments], int(ports[arguments[0]]), tmp_path))
            else:
                done = nightjar(*arguments, cwd=tmp_path)
                assert done.exit_code == 0, f"{line}\n{done.stderr}"
                said[arguments[0]] = said.get(arguments[0], "") + done.stdout
        urllib.request.urlopen(f"http://127.0.0.1:{ports['ui']}/health", timeout=5).close()
    assert "is champion: " in said["train"]
    assert "start         warm" in said["plan"]
    assert "2025-11-09: promoted: NE" in said["nightly"]
    assert "2025-11-10: promoted: NE" in said["nightly"]
    serves = "models:/clicks/3"
    assert said["status"].startswith(f"{serves} is champion")
    scores = pq.read_table(tmp_path / "scores")
    assert (scores.num_rows, scores["model_version"][0].as_py()) == (2000, serves)
    [prediction] = json.loads(next(said[line] for line in said if line.startswith("curl")))["predictions"]
    assert 0 < prediction["probability"] < 1
    assert not [line for line in said if "Traceback" in said[line]]


PLAN = ["plan", "--config", "clicks.yaml"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_each_layout_of_the_page_is_read_as_it_is_written_there_with_the_same_days_and_rows(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    before, _, layouts = PAGE.read_text().partition(LAYOUTS)
    for name, line in blocks(before):
        if name:
            (tmp_path / name).write_text(line)
    shell("python make_clicks.py", tmp_path)
    [imported] = [line for _, line in blocks(before) if line.startswith("nightjar import csv clicks.csv")]
    plans = [nightjar(*words, cwd=tmp_path).stdout for words in (shlex.split(imported)[1:], PLAN)][1:]
    for name, line in blocks(layouts):
        if name:
            (tmp_path / name).write_text(line)
        elif line.startswith("python"):
            shell(line, tmp_path)
        elif line.startswith("nightjar"):
            done = nightjar(*shlex.split(line)[1:], cwd=tmp_path)
            assert done.exit_code == 0, done.stderr
            plans.append(done.stdout)
    told = [[line for line in plan.splitlines() if line.startswith(("train on", "hold out"))] for plan in plans]
    assert told[0] == [
        "train on      14,000 rows of 7 days, 2025-11-01 to 2025-11-07",
        "hold out      2,000 rows of 2025-11-08 to 2025-11-08",
    ]
    assert told == [told[0]] * 5
    assert not [plan for plan in plans if "missing hours" in plan]


DAYS = [date(2025, 11, 1), date(2025, 11, 2)]


@pytest.mark.slow
def test_files_by_day_are_read_once_the_line_of_the_page_has_run(tmp_path):
    for day in DAYS:
        (tmp_path / "logs").mkdir(exist_ok=True)
        noon = pa.table({"time": pa.array([datetime(day.year, day.month, day.day, 12)])})
        pq.write_table(noon, tmp_path / f"logs/clicks-{day}.parquet")
    [line] = [line for name, line in blocks(PAGE.read_text().partition(LAYOUTS)[2]) if line.startswith("for file")]
    shell(line, tmp_path / "logs")
    spec = FeatureSpec.model_validate({"label": "clicked", "fields": [{"name": "user", "kind": "categorical"}]})
    assert logs.days_of(data_of(tmp_path / "logs", spec)) == DAYS
