"""Real processes: a tracking server, a model where Nightjar is not installed, and one that answers over HTTP."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import forked
import numpy as np
import pytest
from bundles import bundle_logits
from command import nightjar
from night_folder import GATE, NightFolder
from processes import QUIET, free_port, served

from pipeline.registry import model_uri, registration, run_log, versions
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking, connect
from pipeline.runtime.progress import Point
from schemas.config import MLflowConfig
from schemas.errors import Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own

SECRET = "s3cr%2Ft-of-mlflow"
# Started with -S, no .pth file makes Nightjar importable from where it is developed.
ISOLATED = [sys.executable, "-S", "-P", "-c"]
PRELUDE = f"""
import json, sys
sys.path.append({sysconfig.get_paths()["purelib"]!r})
try:
    import pipeline
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("nightjar is importable without the model")
"""


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server_uri(server_folder) -> Iterator[str]:
    command = ["server", "--backend-store-uri", f"sqlite:///{server_folder}/mlflow.db", "--workers", "1"]
    with served([*command, "--artifacts-destination", f"{server_folder}/artifacts"], free_port(), server_folder) as uri:
        yield uri


@pytest.fixture(scope="module")
def tracked(server_uri) -> Tracking:
    return connect(MLflowConfig(tracking_uri=server_uri), "s3://not/used")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, config, bundle_folder) -> Path:
    """A registered model's files."""
    folder = tmp_path_factory.mktemp("work")
    tracked = connect(MLflowConfig(tracking_uri=f"sqlite:///{folder}/mlflow.db"), str(folder))
    with tracked.retrain("identity", "2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        registration.register(tracked, bundle_folder, run.stage_run("deepfm"), "ctr", "a night")
    return Path(tracked.client.get_model_version_download_uri("ctr", "1"))


def test_a_retrain_is_recorded_registered_and_loaded_over_http(tracked, config, bundle_folder, random_log):
    with tracked.retrain("identity", "2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        run.log(Point("deepfm", 10, 100, {"train/ne": 1.5}))
        run.finish_stage("deepfm", {"ne": 0.9})
        version = registration.register(tracked, bundle_folder, run.stage_run("deepfm"), "ctr", "a night")
        versions.promote(tracked, version)
    assert tracked.find_finished("identity").run_id == run.run_id
    assert versions.champion(tracked, "ctr") == version
    log = random_log(50, 1)
    expected = bundle_logits(Bundle.load(bundle_folder), log)
    model_id = tracked.client.get_run(run.stage_run("deepfm")).outputs.model_outputs[0].model_id
    for uri in ("models:/ctr@champion", f"models:/{model_id}", f"runs:/{run.stage_run('deepfm')}/deepfm"):
        assert np.array_equal(bundle_logits(model_uri.load_bundle(tracked, uri), log), expected), uri
    with pytest.raises(Refusal, match="registered models ctr"):
        model_uri.load_bundle(tracked, "models:/nope@champion")


def test_a_retrain_on_a_server_with_a_password_leaves_it_nowhere(server_uri, server_folder, tmp_path, cluster):
    uri, shown = (server_uri.replace("://", f"://{user}@") for user in (f"user:{SECRET}", "***"))
    gate = {"gate": {**GATE, "golden_rows": 4}}
    folder = NightFolder.write(tmp_path, 3, night=gate, mlflow={"registered_model": "secretly"})
    with commands_seen() as commands:
        done = folder.run("train", mlflow__tracking_uri=uri)
    assert done.exit_code == 0, done.stderr
    assert f'mlflow.tracking_uri="{shown}"' in done.stdout, "in the next commands"
    assert f"\n  {shown}/#/experiments?workflowType=machine_learning\n" in done.stdout
    assert any("golden_process.py" in command for command in commands)
    again = folder.run("train", "--json", mlflow__tracking_uri=uri)
    assert json.loads(again.stdout)["tracking_uri"] == shown
    for said in (done.stdout, done.stderr, again.stdout, again.stderr, *commands):
        assert SECRET not in said
    assert [name for name in files_with(shown, tmp_path) if name == "summary.json"], "the search finds what it should"
    assert files_with(shown, server_folder)
    assert files_with(SECRET, tmp_path) == files_with(SECRET, server_folder) == []


@contextlib.contextmanager
def commands_seen() -> Iterator[set[str]]:
    """Those of all processes of this machine that run meanwhile."""
    seen: set[str] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    looking = threading.Thread(target=look)
    looking.start()
    yield seen
    is_over.set()
    looking.join()


def files_with(secret: str, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_curves_kept_while_the_server_was_away_are_sent_when_it_is_back(tracked, config, monkeypatch):
    monkeypatch.setattr(run_log, "RETRY_SECONDS", 0.0)
    with tracked.retrain("another identity", "2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        log = run.log
        log.uri = f"http://127.0.0.1:{free_port()}"
        began = time.time() - 60
        log(Point("fm", 1, 100, {"train/ne": 1.0}, began=began))
        log(Point("fm", 2, 100, {"train/ne": 0.9}, began=began))
        assert tracked.stages_of(run.run_id) == {}
        log.uri = tracked.uri
        log(Point("fm", 3, 100, {"train/ne": 0.8}))
        history = tracked.client.get_metric_history(run.stage_run("fm"), "train/ne")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.9), (3, 0.8)]
        assert tracked.client.get_run(run.stage_run("fm")).info.start_time == round(began * 1000)


def test_a_model_brings_all_it_needs_to_a_process_without_nightjar(model_folder, bundle_folder, random_log, tmp_path):
    log = random_log(50, 1)
    code = f"""{PRELUDE}
import mlflow, pandas
model = mlflow.pyfunc.load_model({str(model_folder)!r})
frame = pandas.DataFrame(json.loads(sys.stdin.read()))
print(json.dumps({{
    "probabilities": model.predict(frame)["probability"].tolist(),
    "file": sys.modules["pipeline"].__file__,
    "ray": "ray" in sys.modules,
    "imported": [name for name in ("torch", "safetensors", "pyarrow", "pydantic", "fsspec") if name in sys.modules],
}}))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [*ISOLATED, code],
        input=json.dumps(log.to_pylist()),
        cwd=tmp_path,
        env={**environment, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["file"].startswith(str(model_folder))
    assert not found["ray"]
    assert found["probabilities"] == Bundle.load(bundle_folder).probabilities(log).tolist()


def test_a_model_says_what_must_be_installed_to_load_it(model_folder):
    requirements = (model_folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in requirements} == set(registration.REQUIREMENTS)
    assert all("==" in line and "+" not in line for line in requirements)


def test_a_served_model_answers_raw_rows_over_http(model_folder, bundle_folder, random_log, tmp_path):
    log = random_log(20, 1)
    expected = Bundle.load(bundle_folder).probabilities(log).tolist()
    with serving(model_folder, tmp_path) as (uri, line):
        [of_line] = json.loads(subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout)[
            "predictions"
        ]
        assert 0 < of_line["probability"] < 1
        clicked = [{**row, "clicked": 1} for row in log.to_pylist()]
        assert post(uri, {"dataframe_records": clicked}) == post(uri, {"dataframe_records": log.to_pylist()})
        answer = post(uri, {"dataframe_records": log.to_pylist()})
        assert [row["probability"] for row in answer["predictions"]] == expected
        split = {"columns": log.column_names, "data": [list(row.values()) for row in log.to_pylist()]}
        assert post(uri, {"dataframe_split": split}) == answer
        assert post(uri, {"inputs": log.to_pylist()}) == answer
        [alone] = post(uri, {"dataframe_records": log.slice(3, 1).to_pylist()})["predictions"]
        assert alone["probability"] == pytest.approx(expected[3], rel=1e-5)
        assert post(uri, {"inputs": log.slice(3, 1).to_pylist()[0]})["predictions"] == [alone]
        with pytest.raises(urllib.error.HTTPError) as raised:
            post(uri, {"dataframe_records": log.drop_columns("hour").to_pylist()})
        assert raised.value.code == 400
        assert "found     no column 'hour'\nexpected  the columns" in json.loads(raised.value.read())["message"]


@contextlib.contextmanager
def serving(model: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """`nightjar serve`, on which Ctrl-C then leaves nothing: its URI, and the line for a shell that it printed."""
    port = free_port()
    command = forked.start(["serve", "--model", str(model), "--port", str(port)], folder)
    while "curl" not in command.stdout.read_text():
        assert command.process.is_alive(), command.stderr.read_text()
        time.sleep(0.05)
    [line] = [said.strip() for said in command.stdout.read_text().splitlines() if said.startswith("  curl")]
    yield f"http://127.0.0.1:{port}", line
    with commands_seen() as commands:
        time.sleep(0.3)
    assert sum(str(port) in one for one in commands) == 1
    os.kill(command.process.pid, signal.SIGINT)
    done = command.ended(20)
    assert done.exit_code == 0
    assert "Found extra inputs" not in done.stderr, "of the column that no model reads"
    assert "Traceback" not in done.stderr
    with commands_seen() as commands, socket.create_server(("127.0.0.1", port)):
        time.sleep(0.3)
    assert not [one for one in commands if str(port) in one]


def test_a_port_in_use_and_a_model_that_is_not_there_are_refused_before_anything_is_served(model_folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = nightjar("serve", "--model", str(model_folder), "--port", port, cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"found     port {port}: address already in use" in done.stderr
    work = ["--port", port, "--work", str(model_folder.parents[3])]
    for model, found in {
        "models:/ctr@nobody": "no alias 'nobody' of 'ctr'",
        str(model_folder / "artifacts/bundle"): "a bundle by itself",
        str(tmp_path): "no bundle.json",
    }.items():
        done = nightjar("serve", "--model", model, *work, cwd=tmp_path)
        assert done.exit_code == 2, done.stderr
        assert found in done.stderr


def test_a_model_whose_files_were_edited_is_not_served(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    with (folder / "artifacts/bundle/vocabulary.json").open("a") as file:
        file.write(" ")
    done = nightjar("serve", "--model", str(folder), "--port", str(free_port()), cwd=tmp_path)
    assert done.exit_code == 2
    assert "vocabulary.json with SHA-256" in done.stderr


def post(uri: str, body: object) -> dict:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{uri}/invocations", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)
