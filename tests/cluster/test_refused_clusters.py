"""What a cluster can't do is said before it is given any work: exit 2, four lines, and nothing of a traceback."""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import box
import pytest
from night_folder import NightFolder
from source_tree import change, copy_sources

pytestmark = pytest.mark.cluster
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-token-of-the-cluster-s-own"}
S3_PORT, MLFLOW_PORT = 19000, 15000
MLFLOW = f"mlflow.example:{MLFLOW_PORT}"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
LINES = ("found", "expected", "where", "remedy")


@dataclass(frozen=True)
class Team:
    """A cluster with a token that shares a log and little else: node-2 has no keys for the bucket, and no MLflow."""

    cluster: box.RayCluster
    folder: Path
    env: Mapping[str, str]

    def refused(
        self, *sets: str, env: Mapping[str, str] | None = None, on: box.Machine | None = None
    ) -> dict[str, str]:
        """The four lines of `nightjar train`, typed on the head's machine unless on another one."""
        options = [word for one in ("cluster.num_workers=1", *sets) for word in ("--set", one)]
        found = {name: value for name, value in {**self.env, **(env or {})}.items() if value}
        began = time.monotonic()
        done = (on or self.cluster.head).run(
            "nightjar", "train", "--config", f"{self.folder}/nightly.yaml", *options, env=found
        )
        print(f"refused in {time.monotonic() - began:.1f} s\n{done.stderr}")
        assert done.exit_code == 2, done.stderr
        assert "Traceback" not in done.stderr
        lines = done.stderr.partition("nightjar: refused\n")[2].splitlines()
        assert tuple(line.split()[0] for line in lines) == LINES, done.stderr
        return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


@pytest.fixture(scope="module")
def team(machines: box.Box) -> Team:
    head = machines.machine("head")
    log = machines.shared / "server.log"
    head.serve("moto_server", "-H", head.address, "-p", str(S3_PORT), port=S3_PORT, log=log)
    env = {**TOKEN, "AWS_ENDPOINT_URL": f"http://{head.address}:{S3_PORT}", "AWS_DEFAULT_REGION": "us-east-1"}
    make = "import boto3; boto3.client('s3').create_bucket(Bucket='team')"
    assert head.run("python", "-c", make, env={**env, **KEYS}).exit_code == 0
    cluster = box.ray_cluster(machines, [], env={**env, **KEYS})
    cluster.add("node-1", 2, env=KEYS)
    cluster.add("node-2", 1, env=dict.fromkeys(KEYS, ""))
    folder = NightFolder.write(machines.shared / "nights", 3).path
    return Team(cluster, folder, {**env, **KEYS, "RAY_ADDRESS": cluster.address})


def test_a_work_folder_that_only_the_driver_sees_is_refused_and_nothing_is_written_elsewhere(team: Team) -> None:
    message = team.refused("work_uri=/tmp/work")
    assert "node-1" in message["found"]
    assert "node-2" in message["found"]
    assert message["where"] == "work_uri: /tmp/work"
    assert "s3://" in message["remedy"]
    for name in ("node-1", "node-2"):
        assert not (team.cluster.box.machine(name).disk / "tmp/work").exists()
    assert not list((team.cluster.head.disk / "tmp/work").glob(".probe*")), "it removes what it has asked with"


def test_a_log_that_one_node_does_not_see_is_refused_with_its_name(team: Team) -> None:
    for machine in (team.cluster.head, team.cluster.box.machine("node-1")):
        shutil.copytree(team.folder / "logs", machine.disk / "tmp/logs")
    message = team.refused("data.logs_uri=/tmp/logs")
    assert message["found"].startswith("node-2 (")
    assert "node-1" not in message["found"]
    assert message["where"].startswith("data.logs_uri: ")


def test_a_node_without_credentials_for_the_bucket_is_refused_with_its_name(team: Team) -> None:
    message = team.refused("work_uri=s3://team/work", f"mlflow.tracking_uri=sqlite:///{team.folder}/mlflow.db")
    assert message["found"].startswith("node-2 (")
    assert "credentials" in message["found"]
    assert message["where"] == "work_uri: s3://team/work"
    assert "ray start" in message["remedy"]


def test_an_address_at_which_nothing_listens_is_refused(team: Team) -> None:
    message = team.refused(env={"RAY_ADDRESS": f"{team.cluster.head.address}:9"})
    assert "Connection refused" in message["found"]


def test_an_address_at_which_something_else_answers_is_refused(team: Team) -> None:
    message = team.refused(env={"RAY_ADDRESS": f"{team.cluster.head.address}:{S3_PORT}"})
    assert "no Ray head" in message["found"]
    assert "6379" in message["remedy"]


@pytest.mark.parametrize("scheme", ["ray", "http"])
def test_the_address_of_another_server_of_ray_is_refused(team: Team, scheme: str) -> None:
    message = team.refused(f"cluster.address={scheme}://{team.cluster.head.address}:8265")
    assert "nightjar submit" in message["remedy"]


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"RAY_AUTH_TOKEN": "another-token-than-the-cluster-s"}, "refuses the token"),
        ({"RAY_AUTH_TOKEN": "another-token-than-the-cluster-s", "RAY_ADDRESS": "auto"}, "refuses the token"),
        ({"RAY_AUTH_TOKEN": "", "HOME": "/tmp"}, "and none here"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "", "RAY_ADDRESS": "auto"}, "and none here"),
    ],
    ids=["wrong", "wrong-auto", "missing", "disabled-auto"],
)
def test_a_wrong_or_a_missing_token_is_refused(team: Team, environment: dict[str, str], found: str) -> None:
    message = team.refused(env=environment)
    assert found in message["found"]
    assert "RAY_AUTH_TOKEN_PATH" in message["remedy"]
    assert not any(
        one in " ".join(message.values()) for one in [*TOKEN.values(), *environment.values()] if len(one) > 8
    )


def test_a_machine_that_is_no_node_of_the_cluster_is_refused(team: Team) -> None:
    driver = team.cluster.box.driver
    assert "no node" in team.refused(on=driver)["found"]
    assert "no Ray node on this machine" in team.refused(on=driver, env={"RAY_ADDRESS": "auto"})["found"]


@pytest.fixture(scope="module")
def mlflow(team: Team) -> str:
    """A server that hears to one name, which node-2 does not know."""
    head, shared = team.cluster.head, team.cluster.box.shared
    hosts = shared / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{head.address} mlflow.example other.example\n")
    for machine in (head, team.cluster.box.machine("node-1")):
        assert machine.run("mount", "--bind", str(hosts), "/etc/hosts").exit_code == 0
    head.serve(
        *("mlflow", "server", "--host", head.address, "--port", str(MLFLOW_PORT), "--allowed-hosts", MLFLOW),
        *("--backend-store-uri", "sqlite:////tmp/mlflow.db", "--artifacts-destination", "/tmp/artifacts"),
        *("--workers", "1"),
        port=MLFLOW_PORT,
        log=shared / "mlflow.log",
        env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    return f"http://{MLFLOW}"


def test_an_mlflow_that_one_node_cannot_reach_or_that_hears_to_other_names_is_refused(team: Team, mlflow: str) -> None:
    message = team.refused(f"mlflow.tracking_uri={mlflow}")
    assert message["found"].startswith("node-2 (")
    assert "node-1" not in message["found"]
    assert message["where"] == f"mlflow.tracking_uri: {mlflow}"
    message = team.refused(f"mlflow.tracking_uri=http://other.example:{MLFLOW_PORT}")
    assert "Invalid Host header" in message["found"]
    assert "--allowed-hosts" in message["remedy"]


def test_the_doctor_tells_of_every_node_what_it_can_do_and_that_all_is_well_when_it_is(team: Team, mlflow: str) -> None:
    head, node_2 = team.cluster.head, team.cluster.box.machine("node-2")
    command = ["nightjar", "doctor", "--config", f"{team.folder}/nightly.yaml", "--json"]
    command += ["--set", "cluster.num_workers=2", "--set", f"mlflow.tracking_uri={mlflow}"]
    began = time.monotonic()
    done = head.run(*command, "--set", "work_uri=s3://team/work", env=team.env)
    print(f"examined in {time.monotonic() - began:.1f} s\n{done.stderr}")
    assert done.exit_code == 2, done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    checks = {node["node"]["host"]: {name for name, why in node["checks"].items() if why} for node in found["nodes"]}
    assert checks == {"head": set(), "node-1": set(), "node-2": {"work folder", "MLflow", "artifacts"}}
    kinds = {node["node"]["host"]: node["credentials"] for node in found["nodes"]}
    assert kinds["node-1"]["object store"] == "AWS_*"
    assert kinds["node-2"]["object store"] == "none"
    assert all(abs(node["clock_ahead_seconds"]) < 5 for node in found["nodes"])
    assert [one["where"].partition(":")[0] for one in found["refusals"]][:2] == ["work_uri", "mlflow.tracking_uri"]
    assert not any(secret in done.stdout + done.stderr for secret in TOKEN.values() if secret != "token")
    assert node_2.run("mount", "--bind", str(team.cluster.box.shared / "hosts"), "/etc/hosts").exit_code == 0
    done = head.run(*command, env=team.env)
    assert done.exit_code == 0, done.stderr
    assert sum(node["ranks"] for node in json.loads(done.stdout.splitlines()[-1])["nodes"]) == 2


def test_a_head_of_another_ray_is_refused_with_both_versions(team: Team) -> None:
    machine = team.cluster.box.machine("elsewhere")
    other = "import sys, ray; ray.__version__ = '2.59.0'; from ray.scripts.scripts import main; sys.exit(main())"
    machine.serve(
        *(sys.executable, "-c", other, "start", "--head", "--block", f"--node-ip-address={machine.address}"),
        *("--port=9379", "--include-dashboard=false", "--num-cpus=1", "--object-store-memory=100000000"),
        port=9379,
        log=machine.disk / "tmp/ray.log",
        env={"RAY_AUTH_MODE": "disabled"},
    )
    message = team.refused(on=machine, env={"RAY_ADDRESS": f"{machine.address}:9379", "RAY_AUTH_MODE": "disabled"})
    machine.kill()
    assert "2.59.0" in message["found"]
    assert "2.60.0" in message["found"]


def test_a_node_whose_clock_is_wrong_is_told_by_the_doctor_with_its_name(team: Team) -> None:
    wrong = team.cluster.box.shared / "wrong"
    wrong.mkdir()
    (wrong / "sitecustomize.py").write_text("import time\nright = time.time\ntime.time = lambda: right() + 60\n")
    team.cluster.add("late", 1, env={**KEYS, "PYTHONPATH": str(wrong)})
    command = ("nightjar", "doctor", "--config", f"{team.folder}/nightly.yaml", "--set", "cluster.num_workers=1")
    done = team.cluster.head.run(*command, "--json", env=team.env)
    assert done.exit_code == 2, done.stderr
    [refusal] = json.loads(done.stdout.splitlines()[-1])["refusals"]
    assert refusal["found"].startswith("late (")
    assert refusal["found"].endswith("s")
    assert 55 < float(refusal["found"].split()[-2]) < 65
    assert refusal["expected"].startswith("clocks within")


def test_a_node_of_another_version_is_refused_with_its_name(team: Team) -> None:
    """The last test: the node stays."""
    other = copy_sources(team.cluster.box.shared / "other")
    change(other, "pipeline/data/encode.py")
    team.cluster.add("node-3", 1, env={**KEYS, "PYTHONPATH": str(other)})
    message = team.refused()
    assert message["found"].startswith("node-3 (")
    assert "Nightjar" in message["found"]
    assert "node-1" not in message["found"]
