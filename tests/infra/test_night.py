"""night.py, which makes a night's RayJob and waits for it, before an API server that is played."""

import http.server
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from manifests import KUBERNETES

SCRIPT = importlib.util.spec_from_file_location("night", KUBERNETES / "base/night.py")
night = importlib.util.module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(night)

PATH = "/apis/ray.io/v1/namespaces/nightjar/rayjobs"
TEMPLATE = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "nightjar-night", "uid": "of the template", "labels": {"team": "ads"}},
    "spec": {"suspend": True, "entrypoint": "nightjar nightly", "backoffLimit": 2},
    "status": {"jobDeploymentStatus": "Suspended"},
}
DUE = "nightjar-nightly-29929140"  # minutes since 1970
NAME = "nightjar-20261127-0300"
FAILED = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed"}
WORDS = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):\n{}"


@dataclass
class Cluster:
    """An API server's RayJobs, and what they come to, a status an answer; a number is an answer of the server alone."""

    statuses: list[dict[str, Any] | int]
    url: str = ""
    jobs: dict[str, Any] = field(default_factory=lambda: {"nightjar-night": TEMPLATE})
    tokens: set[str] = field(default_factory=set)
    may_create: bool = True
    away: list[int] = field(default_factory=list)
    """Answers in the place of the template."""
    lost: list[int] = field(default_factory=list)
    """Answers to a RayJob that was made nonetheless."""

    def answer(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        name = path.removeprefix(PATH).removeprefix("/")
        if method == "POST":
            name = body["metadata"]["name"]
            if not self.may_create:
                return 403, {"message": "rayjobs.ray.io is forbidden"}
            if name in self.jobs:
                return 409, {"message": f"rayjobs.ray.io {name} already exists"}
            self.jobs[name] = body
            return (self.lost.pop(0), {}) if self.lost else (201, body)
        if name not in self.jobs:
            return 404, {"message": f"rayjobs.ray.io {name} not found"}
        if name == "nightjar-night":
            return (self.away.pop(0), {}) if self.away else (200, self.jobs[name])
        status = self.statuses.pop(0)
        return (status, {}) if isinstance(status, int) else (200, {**self.jobs[name], "status": status})


@pytest.fixture
def api(tmp_path, monkeypatch) -> Iterator[Callable[..., Cluster]]:
    (tmp_path / "namespace").write_text("nightjar")
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("JOB_NAME", DUE)
    monkeypatch.setenv("JOB_UID", "of the Job")
    cluster = Cluster([])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            cluster.tokens.add(self.headers["Authorization"])
            status, answer = cluster.answer(self.command, self.path, json.loads(body) if body else None)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_POST = do_GET

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

        def started(*statuses: dict[str, Any] | int) -> Cluster:
            cluster.statuses = list(statuses)
            cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
            return cluster

        yield started
        server.shutdown()


def run(cluster: Cluster, account: Path) -> int:
    return night.main(
        ["--of", "nightjar-night", "--api", cluster.url, "--account", str(account), "--every-seconds", "0.001"]
    )


def state(deployment: str, job: str = "", **more: Any) -> dict[str, Any]:
    return {"jobDeploymentStatus": deployment, "jobStatus": job, **more}


def test_a_night_is_the_suspended_one_by_its_own_name_and_goes_with_its_job(api, tmp_path, capsys):
    cluster = api({}, state("Initializing"), state("Running", "RUNNING"), state("Complete", "SUCCEEDED"))
    assert run(cluster, tmp_path) == 0
    assert cluster.jobs[NAME] == {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": NAME,
            "labels": {"team": "ads"},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": DUE, "uid": "of the Job"},
            ],
        },
        "spec": {"entrypoint": "nightjar nightly", "backoffLimit": 2},
    }
    assert cluster.tokens == {"Bearer t0ken"}
    said = [line.partition("UTC  ")[2] or line for line in capsys.readouterr().out.split("\n") if line]
    assert said == [f"{NAME} begins", "New", "Initializing", "Running RUNNING", "Complete SUCCEEDED"]


def test_a_pod_in_the_place_of_a_lost_one_follows_the_night_that_is_under_way(api, tmp_path, capsys):
    cluster = api(state("Running", "RUNNING"), state("Complete", "SUCCEEDED"))
    cluster.jobs[NAME] = {"metadata": {"name": NAME}}
    assert run(cluster, tmp_path) == 0
    assert capsys.readouterr().out.startswith(f"{NAME} is under way\n")


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_the_exit_code_of_the_command_is_that_of_the_pod(api, tmp_path, code, capsys):
    log = "\n".join(f"line {number}" for number in range(30))
    assert run(api({**FAILED, "message": WORDS.format(code, log)}), tmp_path) == code
    out = capsys.readouterr().out
    assert "line 29" in out
    assert "line 9\n" not in out


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (state("Failed", "RUNNING", reason="DeadlineExceeded", message="took longer than 28800 s"), 1),
        (state("Complete", "STOPPED", message="Job was stopped"), 1),
        (state("Failed", "", reason="PreRunningDeadlineExceeded"), 1),
    ],
    ids=["deadline", "stopped", "no nodes"],
)
def test_a_night_that_ended_without_a_code_of_the_command_fails(api, tmp_path, status, code, capsys):
    assert run(api(status), tmp_path) == code
    assert (status.get("reason") or status["message"]) in capsys.readouterr().out


def test_an_api_server_that_is_away_for_a_while_stops_no_night(api, tmp_path, capsys):
    assert run(api(503, 429, state("Running", "RUNNING"), 500, state("Complete", "SUCCEEDED")), tmp_path) == 0
    assert capsys.readouterr().out.count("the night goes on without being watched") == 3


def test_an_api_server_that_is_away_when_the_night_is_due_is_asked_again_and_no_night_is_made_twice(
    api, tmp_path, capsys
):
    cluster = api(state("Running", "RUNNING"), state("Complete", "SUCCEEDED"))
    cluster.away, cluster.lost = [503, 429], [500]
    assert run(cluster, tmp_path) == 0
    out = capsys.readouterr().out
    assert out.count("the night has not begun") == 3
    assert f"{NAME} is under way\n" in out
    assert set(cluster.jobs) == {"nightjar-night", NAME}


def test_an_attempt_after_a_lost_head_is_told(api, tmp_path, capsys):
    again = state("Initializing", failed=1)
    assert run(api(state("Running", "RUNNING"), again, state("Complete", "SUCCEEDED", failed=1)), tmp_path) == 0
    assert "Initializing, attempt 2" in capsys.readouterr().out


def test_a_pod_that_may_not_make_rayjobs_says_so(api, tmp_path, capsys):
    cluster = api()
    cluster.may_create = False
    assert run(cluster, tmp_path) == 1
    assert capsys.readouterr().err == f"{NAME}: Kubernetes answers 403: rayjobs.ray.io is forbidden\n"


def test_a_night_that_someone_has_deleted_ends_in_words(api, tmp_path, capsys):
    assert run(api(404), tmp_path) == 1
    assert "Kubernetes answers 404" in capsys.readouterr().err


def test_a_night_is_called_after_the_time_it_was_due_and_one_by_hand_after_now():
    now = datetime(2026, 11, 27, 9, 41, tzinfo=UTC)
    assert night.due(DUE, now) == datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
    assert night.due("try-1", now) == now
