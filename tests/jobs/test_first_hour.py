"""The newcomer's page, jobs/first-hour.md, is run as it stands there, but for the ports, which may be in use."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import data_of
from command import nightjar
from processes import free_port, running

from pipeline.data import logs
from schemas.features import FeatureSpec

PAGE = Path(__file__).parents[2] / "jobs" / "first-hour.md"
LAYOUTS = "## Other layouts"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVERS = {"ui": "5000", "serve": "5002"}


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(name of a file, what it holds) of each that is one, and ("", a line for a shell) of the others."""
    for language, content in BLOCK.findall(text):
        if language == "console":
            yield from (("", line.removeprefix("$ ")) for line in content.splitlines() if line.startswith("$ "))
        else:
            name, _, rest = content.partition("\n")
            yield name.removeprefix("# "), rest


def shell(line: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)  # a training, two nights and three servers, on a machine that may be busy
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_the_first_hour_goes_from_a_csv_to_a_promoted_night_and_a_served_model_as_it_is_written(tmp_path, monkeypatch):
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
            if name:
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
    nights = [line.split(": ")[:2] for line in said["nightly"].splitlines() if line.startswith("2025-")]
    assert nights[0] == ["2025-11-09", "promoted"]
    assert nights[1] in (["2025-11-10", "promoted"], ["2025-11-10", "kept"])
    serves = f"models:/clicks/{3 if nights[1][1] == 'promoted' else 2}"
    assert said["status"].startswith(f"{serves} is champion")
    scores = pq.read_table(tmp_path / "scores")
    assert (scores.num_rows, scores["model_version"][0].as_py()) == (2000, serves)
    [prediction] = json.loads(next(said[line] for line in said if line.startswith("curl")))["predictions"]
    assert 0 < prediction["probability"] < 1
    assert not [line for line in said if "Traceback" in said[line]]


DAYS = [date(2025, 11, 1), date(2025, 11, 2)]


def rows_of(day: date) -> pa.Table:
    return pa.table({"time": pa.array([datetime(day.year, day.month, day.day, hour) for hour in (0, 23)])})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "layout"),
    [
        ("mv $day date=$day", "logs/{day}/a.parquet"),
        ("for file in", "logs/clicks-{day}.parquet"),
        ("by_day.py", "clicks/year={day:%Y}/month={day:%m}/day={day:%d}/a.parquet"),
        ("by_day.py", "clicks/{day}.parquet"),
    ],
    ids=["by-day", "flat", "nested", "without-a-day"],
)
def test_a_log_laid_out_otherwise_is_read_once_the_lines_of_the_page_have_run(tmp_path, recipe, layout):
    for day in DAYS:
        path = tmp_path / layout.format(day=day)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows_of(day), path)
    lines = list(blocks(PAGE.read_text().partition(LAYOUTS)[2]))
    [(name, line)] = [(name, line) for name, line in lines if recipe in (name or line)]
    if name:
        (tmp_path / name).write_text(line)
        shell(f"{sys.executable} {name}", tmp_path)
        shell(f"{sys.executable} {name}", tmp_path)
    else:
        shell(line, tmp_path / "logs")
    spec = FeatureSpec.model_validate({"label": "clicked", "fields": [{"name": "user", "kind": "categorical"}]})
    assert logs.days_of(data_of(tmp_path / "logs", spec)) == DAYS
    found = [pq.read_table(path, partitioning=None) for path in sorted((tmp_path / "logs").rglob("*.parquet"))]
    assert [table["time"].to_pylist() for table in found] == [rows_of(day)["time"].to_pylist() for day in DAYS]
