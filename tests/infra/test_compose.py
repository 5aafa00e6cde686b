"""The cluster of one machine, as compose reads it."""

import re
import subprocess

import pytest
from manifests import BIN, INFRA, compose

SERVICES = compose()["services"]


@pytest.mark.slow
def test_the_schema_of_compose_takes_the_file_and_no_typo(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((INFRA / "compose.yaml").read_text().replace("healthcheck:", "health_check:", 1))
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", INFRA / "compose.yaml"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    done = subprocess.run([*command, wrong], capture_output=True, text=True)
    assert done.returncode == 1
    assert "health_check" in done.stdout


def test_credentials_are_asked_for_and_stand_nowhere():
    """Each is `${NAME:?...}`: without a value compose begins nothing."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("password|secret|token|key", variable, re.IGNORECASE):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, variable)


def test_nothing_listens_beyond_this_machine():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:5000:5000", "127.0.0.1:8265:8265"]


def test_what_must_outlive_a_container_lies_on_named_volumes():
    volumes = set(compose()["volumes"])
    lies = {
        name: [volume.split(":")[0] for volume in service.get("volumes", []) if volume.split(":")[0] in volumes]
        for name, service in SERVICES.items()
    }
    assert {name: kept for name, kept in lies.items() if kept} == {
        "postgres": ["postgres"],
        "s3": ["s3"],
        "ray-head": ["session"],
    }


def test_each_service_waits_for_what_it_needs():
    needs = {
        name: {on: needed["condition"] for on, needed in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    healthy = "service_healthy"
    assert needs["mlflow"] == {"postgres": healthy, "s3": healthy}
    assert needs["ray-worker"] == {"ray-head": healthy}
    assert needs["nightjar"] == {"mlflow": healthy, "ray-head": healthy, "ray-worker": "service_started"}
    for waited_for in {on for of in needs.values() for on, condition in of.items() if condition == healthy}:
        assert "healthcheck" in SERVICES[waited_for]


def test_all_nodes_of_ray_have_one_image_one_config_and_one_token():
    nodes = [SERVICES[name] for name in ("ray-head", "ray-worker", "nightjar")]
    assert len({node["image"] for node in nodes}) == 1
    assert {node["environment"]["RAY_AUTH_MODE"] for node in nodes} == {"token"}
    assert len({node["environment"]["RAY_AUTH_TOKEN"] for node in nodes}) == 1
    assert all("./kubernetes/base/config:/etc/nightjar:ro" in node["volumes"] for node in nodes)
    assert SERVICES["ray-worker"]["deploy"]["replicas"] == 2


def test_mlflow_keeps_runs_in_postgresql_and_artifacts_in_the_bucket_with_the_drivers_it_has():
    told = SERVICES["mlflow"]["command"]
    # SQLAlchemy takes psycopg 3 for the bare name, and the image has psycopg2.
    assert "--backend-store-uri=postgresql+psycopg2://mlflow@postgres/mlflow" in told
    assert "--artifacts-destination=s3://nightjar/mlflow" in told
    assert "-bucket=nightjar" in SERVICES["s3"]["command"]
