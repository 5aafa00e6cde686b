"""Nights that are killed, that lose MLflow or the disk: the same command goes on, and comes to what it would have."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Done
from disks import fill, mounted
from faults import Call, FirstCheckpoint, Shown, at, killed
from night_folder import MODEL, STAGE, NightFolder, day
from processes import Relay, free_port, served

from pipeline.nights.records import Night

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]

# In the order in which a night comes to them.
MOMENTS = [
    Shown("begins", "score with champion"),
    Shown("ended", "score with champion"),
    Shown("ended", "encode rows"),
    FirstCheckpoint(),
    Shown("ended", "train"),
    Call("after", "mlflow:MlflowClient.log_model_artifacts"),
    Call("after", "mlflow:MlflowClient.create_model_version"),
    Call("after", "pipeline.registry.versions:set_tags"),
    Call("after", "mlflow:MlflowClient.set_registered_model_alias", number=2),  # the first is challenger's
    Call("after", "pipeline.registry.versions:promote"),
    Call("before", "pipeline.nights.records:write"),
]
BY_A_RANK = ("--set", "cluster.num_workers=1")  # of Ray Train: what it trains, it takes up from a checkpoint
TIMES = {"seconds", "phases", "rates", "ended", "run_id", "tracking_uri"}  # what two nights of the same key differ in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> NightFolder:
    """With the night of day 2 behind it, and a stage long enough to be killed in."""
    stage = {**STAGE, "embedding": {"learning_rate": 0.005}, "epochs": 10}
    checkpoint = {"every_steps": 40}
    folder = NightFolder.write(tmp_path_factory.mktemp("killed"), 3, stages=[stage], checkpoint=checkpoint)
    assert folder.night(2).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: NightFolder) -> Night:
    """The night of day 3 in a copy of the work folder."""
    copy = folder.path / "copy"
    # By another process: to close a database's file anywhere in this one gives up the locks that SQLite holds on it.
    subprocess.run(["cp", "-r", folder.path / "work", copy], check=True)
    done = folder.run("nightly", "--date", str(day(3)), "--json", work_uri=str(copy))
    return night_of(done)


def night_of(done: Done) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    night: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in night.items() if name not in TIMES}


def runs_of(folder: NightFolder, key: str) -> list[Any]:
    tracking = folder.tracking
    return list(tracking.client.search_runs([tracking.experiment_id], f"tags.`nightjar.identity` = '{key}'"))


def champion_was_accepted(folder: NightFolder) -> bool:
    number = folder.aliases()["champion"]
    return folder.client.get_model_version(MODEL, number).tags["nightjar.decision"] == "promote"


@pytest.mark.cluster  # for its minute and a half: two dozen processes start, one after the other, and are killed
@pytest.mark.timeout(900)
def test_a_night_killed_at_every_step_comes_to_what_an_undisturbed_one_does(folder, undisturbed, ray_address):
    command = ["nightly", "--config", "nightly.yaml", "--date", str(day(3))]
    trains = range(MOMENTS.index(FirstCheckpoint()), MOMENTS.index(FirstCheckpoint()) + 2)
    for number, moment in enumerate(MOMENTS):
        options = BY_A_RANK if number in trains else ()  # for the others its start would be but seconds lost
        assert killed([*command, *options], folder.path, ray_address, moment) == -signal.SIGKILL, f"not killed {moment}"
        assert champion_was_accepted(folder), f"after a kill {moment}"
        assert len(runs_of(folder, undisturbed["key"])) == 1, f"after a kill {moment}"

    assert night_of(folder.run("nightly", "--date", str(day(3)), "--json")) == undisturbed
    (run,) = runs_of(folder, undisturbed["key"])
    assert run.info.status == "FINISHED"
    tracking = folder.tracking
    found = tracking.client.search_runs([tracking.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert [(child.info.run_name, child.info.status) for child in found] == [("fm (warm)", "FINISHED")]
    versions = tracking.client.search_model_versions(f"name = '{MODEL}'")
    assert sorted(version.tags["nightjar.key"] for version in versions).count(undisturbed["key"]) == 1
    assert folder.aliases() == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    assert len(tracking.client.search_logged_models([tracking.experiment_id])) == 2
    newest = max((folder.path / "work" / "leases" / MODEL).iterdir(), key=lambda path: int(path.stem))
    assert int(newest.stem) == 2 + len(MOMENTS), "each took over the lease of the one that was killed before it"
    assert json.loads(newest.read_text())["released"]


def test_a_night_that_loses_mlflow_says_so_and_goes_on_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    server_port, port = free_port(), free_port()
    folder = NightFolder.write(tmp_path, 2, mlflow={"tracking_uri": f"http://127.0.0.1:{port}"})
    server = ["server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1"]
    server += ["--artifacts-destination", f"{tmp_path}/artifacts"]
    with served(server, server_port, tmp_path):
        for lost in (Shown("begins", "score with champion"), Call("before", "pipeline.registry.registration:register")):
            with at(lost, Relay(server_port, port).cut):
                done = folder.night(2)
            assert done.exit_code == 1, done.stderr
            assert f"MLflow at http://127.0.0.1:{port} does not take what it is sent: " in done.stderr
            assert "the same command goes on from here" in done.stderr
            assert "Traceback" not in done.stderr
        relay = Relay(server_port, port)
        done = folder.night(2)
        assert done.exit_code == 0, done.stderr
        assert "there is no champion yet" in done.stdout
        (run,) = runs_of(folder, folder.record(2).key)
        assert run.info.status == "FINISHED"
        assert folder.aliases() == {"challenger": "1", "champion": "1"}
        relay.cut()
    assert "train fm" not in done.stderr, "it was trained before the server was lost again"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize(
    "moment",
    [
        Call("before", "pipeline.retrain.leasing:lease_of"),
        Call("before", "pipeline.retrain.run:encoded_store"),
        Call("before", "pipeline.data.passes:encode_rows"),
    ],
    ids=str,
)
def test_a_night_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(small_disk, tmp_path, moment):
    folder = NightFolder.write(tmp_path, 2, mlflow={"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"})
    work = {"work_uri": str(small_disk)}
    with at(moment, lambda: fill(small_disk)):
        full = folder.night(2, **work)
    assert full.exit_code == 1, full.stderr
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    done = folder.night(2, **work)
    assert done.exit_code == 0, done.stderr
    assert folder.aliases() == {"challenger": "1", "champion": "1"}
