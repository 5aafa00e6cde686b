"""The process in which a registered model is tried: what it says of the model, and that it outlives nobody."""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import forked
import pytest

from pipeline.registry import registration
from pipeline.registry.bundle import Bundle
from pipeline.registry.golden import SCRIPT, Host
from pipeline.registry.tracking import Tracking, connect
from schemas.config import MLflowConfig
from schemas.errors import Failure, Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own


def start_and_wait(uri: str, folder: Path) -> None:
    """As a command does that trains for long, with its temporary files in that folder."""
    os.environ["TMPDIR"] = str(folder)
    with Host(Tracking(uri, ""), num_rows=4) as host:
        host.start()
        time.sleep(60)


def hosts(folder: Path) -> list[int]:
    """The processes that wait for a model and have their files below that folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().decode().split("\0") if path.exists() else []
        if str(SCRIPT) in words and any(word.startswith(str(folder)) for word in words):
            found.append(int(path.parent.name))
    return found


def within_seconds(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def test_a_command_that_is_killed_leaves_neither_the_process_nor_its_files(tmp_path):
    command = forked.forks().Process(target=start_and_wait, args=("http://127.0.0.1:9", tmp_path))
    command.start()
    assert within_seconds(30, lambda: bool(hosts(tmp_path))), "it never started"
    os.kill(command.pid, signal.SIGKILL)
    command.join()
    assert within_seconds(10, lambda: not hosts(tmp_path) and not list(tmp_path.iterdir()))


def test_a_registered_model_is_tried_and_one_that_cannot_be_used_says_why(
    config, bundle_folder, random_log, tmp_path, monkeypatch
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", f"{tmp_path}/tmp")
    tracked = connect(MLflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"), str(tmp_path))
    with tracked.retrain("identity", "2026-11-19", config, "[]") as run:
        run.open_stages(config.plan)
        version = registration.register(tracked, bundle_folder, run.stage_run("deepfm"), "ctr", "a night")
    bundle, rows = Bundle.load(bundle_folder), random_log(20, 1)
    model = Path(tracked.client.get_model_version_download_uri("ctr", "1"))
    with Host(tracked, num_rows=20) as host:
        host.start()
        (waiting,) = hosts(tmp_path)
        os.kill(waiting, signal.SIGKILL)  # as a machine does that runs out of memory
        assert within_seconds(10, lambda: not hosts(tmp_path))
        trial = host.ask(version.uri, bundle, rows)
        host.start()  # for the next one, beside the first
        assert trial.largest_difference() < 1e-6
        (model / "pyfunc.py").write_text("raise RuntimeError('a model of another day')\n")
        with pytest.raises(Failure, match=r"models:/ctr/1 cannot be loaded and used: .*a model of another day"):
            host.ask(version.uri, bundle, rows).largest_difference()
        (model / "artifacts/bundle/bundle.json").write_text("{}")
        with pytest.raises(Refusal, match=r"bundle\.json with SHA-256"):
            host.ask(version.uri, bundle, rows)
