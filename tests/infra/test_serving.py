"""How serving learns that champion moved: the page's lines, against a real MLflow server on this machine."""

import base64
import contextlib
import hashlib
import hmac
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import write_random_bundle
from click_logs import click_rows
from cryptography.fernet import Fernet
from processes import free_port, served
from six_days import config_of
from source_tree import REPOSITORY

from pipeline.registry import registration, versions
from pipeline.registry.tracking import Tracking, connect
from schemas.config import MLflowConfig

PAGE = REPOSITORY / "infra" / "README.md"
SECTION = re.compile(r"^## How serving learns.*?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = "of-the-webhook"
LOCAL = {
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "https,http",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
}


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of_the_page(mlflow: str, receiver: str) -> list[list[str]]:
    """Its commands, but for the addresses and the secret, which are ours."""
    found = SECTION.search(PAGE.read_text())
    assert found
    text = found[1].replace("https://mlflow.example.com", mlflow).replace("https://serving.example.com", receiver)
    text = text.replace("8090", receiver.rpartition(":")[2])
    lines = [shlex.split(line.removeprefix("$ ")) for line in text.splitlines()]
    assert [words[0] for words in lines] == ["export", "python", "python", "curl"]
    return lines[1:]


@contextlib.contextmanager
def beside(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(what: Callable[[], Any], expected: Any) -> None:
    found = None
    for _ in range(300):
        with contextlib.suppress(OSError):
            found = what()
            if found == expected:
                return
        time.sleep(0.2)
    raise AssertionError(f"{found}, not {expected}")


def post(uri: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(uri, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def registered(tracking: Tracking, folder: Path, seed: int) -> versions.Version:
    write_random_bundle(folder / str(seed), click_rows(), seed)
    config, key = config_of(folder), f"{seed:016x}"
    with tracking.retrain(key, "a night", config, "[]") as run:
        run.open_stages(config.stages)
        return registration.register(tracking, folder / str(seed) / "bundle", run.stage_run("deepfm"), "ctr", key)


@pytest.mark.slow
@pytest.mark.timeout(600)  # MLflow's server, one that serves and a client, on a machine that may be busy
@pytest.mark.filterwarnings("default")
def test_a_server_that_follows_the_page_takes_each_champion_as_soon_as_it_is_told(tmp_path, monkeypatch):
    for name, value in LOCAL.items():
        monkeypatch.setenv(name, value)
    database = f"sqlite:///{tmp_path}/mlflow.db"
    command = ["server", "--workers", "1", "--backend-store-uri", database]
    with served([*command, "--artifacts-destination", f"{tmp_path}/artifacts"], free_port(), tmp_path) as mlflow:
        tracking = connect(MLflowConfig(tracking_uri=mlflow), str(tmp_path))
        first, second = (registered(tracking, tmp_path, seed) for seed in (1, 2))
        versions.promote(tracking, first)
        receiver = f"http://127.0.0.1:{free_port()}"
        (_, *follow), (_, *subscribe), (_, health) = lines_of_the_page(mlflow, receiver)
        environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow, "WEBHOOK_SECRET": SECRET}

        def serving() -> str:
            with urllib.request.urlopen(health, timeout=5) as answer:
                return str(json.load(answer)["version"])

        with beside(follow, environment, tmp_path / "receiver.log"):
            until(serving, "1")
            told = run(subscribe, environment)
            assert told.startswith(f"{receiver}/champion-moved is told of model_version_alias.created")
            time.sleep(1.5)  # MLflow looks for webhooks once a second here
            versions.promote(tracking, second)
            until(serving, "2")
            row = {name: None for name in ("user", "site", "tags", "age", "views", "price")} | {"user": "ann"}
            status, scored = post(f"{receiver}/score", json.dumps([row]).encode())
            assert (status, scored["version"]) == (200, "2")
            assert 0 < scored["predictions"][0]["probability"] < 1
            versions.rollback(tracking, "ctr")
            until(serving, "1")
            assert post(f"{receiver}/champion-moved", b'{"data": {}}')[0] == 401
            assert post(f"{receiver}/score", b"[{}]")[0] == 400
            assert serving() == "1"


@pytest.fixture(scope="module")
def is_genuine() -> Callable[..., bool]:
    path = REPOSITORY / "infra" / "serving" / "follow_champion.py"
    specification = importlib.util.spec_from_file_location("follow_champion", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.is_genuine


def signed(secret: str, body: bytes, sent: str = "1000", delivery: str = "d") -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{delivery}.{sent}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": sent,
        "X-MLflow-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_message_of_someone_who_does_not_know_the_secret_or_an_old_one_is_not_taken(is_genuine):
    body, headers = b"{}", signed(SECRET, b"{}")
    assert is_genuine(SECRET, headers, body, now=1000.0)
    assert is_genuine(SECRET, headers, body, now=1299.0)
    assert not is_genuine(SECRET, headers, body, now=1301.0)
    assert not is_genuine(SECRET, headers, b"{ }", now=1000.0)
    assert not is_genuine("another", headers, body, now=1000.0)
    assert not is_genuine(SECRET, headers | {"X-MLflow-Delivery-Id": "e"}, body, now=1000.0)
    assert not is_genuine(SECRET, {}, body, now=1000.0)
    for odd in ("", "later", "-1000", "1000.5"):
        assert not is_genuine(SECRET, signed(SECRET, body, sent=odd), body, now=1000.0)
