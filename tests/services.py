"""What a team runs beside Ray, each on a machine of a box: PostgreSQL, a store that speaks S3, MLflow over both."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from box import Box, Machine

BUCKET = "clicks"
KEYS = {"AWS_ACCESS_KEY_ID": "nightjar", "AWS_SECRET_ACCESS_KEY": "of-the-store", "AWS_DEFAULT_REGION": "us-east-1"}
DATABASE_PASSWORD = "of-the-database"


@dataclass(frozen=True)
class Services:
    """Where each answers, and what its clients have in their environment."""

    s3: Machine
    mlflow: Machine
    env: Mapping[str, str]
    """Of everybody who works with the store: its endpoint and keys, and where MLflow is."""


def start(box: Box) -> Services:
    s3 = _store(box)
    store_env = {**KEYS, "AWS_ENDPOINT_URL": f"http://{s3.address}:9000"}
    mlflow = _mlflow(box, _postgresql(box), store_env)
    return Services(s3, mlflow, {**store_env, "MLFLOW_TRACKING_URI": f"http://{mlflow.address}:5000"})


def _store(box: Box) -> Machine:
    machine = box.machine("s3")
    machine.serve("moto_server", "-H", machine.address, "-p", "9000", port=9000, log=machine.disk / "tmp/s3.log")
    make = f"import fsspec; fsspec.filesystem('s3').mkdir('{BUCKET}')"
    made = machine.run("python", "-c", make, env={**KEYS, "AWS_ENDPOINT_URL": f"http://{machine.address}:9000"})
    assert made.exit_code == 0, made.stderr
    return machine


def _postgresql(box: Box) -> Machine:
    """Debian's, its cluster of databases on the machine's own disk; it never runs as root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL: Debian's package `postgresql` brings it")
    machine, initdb, postgres = box.machine("database"), str(programs[-1] / "initdb"), str(programs[-1] / "postgres")
    folder, password = machine.disk / "tmp/database", machine.disk / "tmp/password"
    folder.mkdir()
    password.write_text(DATABASE_PASSWORD)
    for path in (folder, password):
        shutil.chown(path, "postgres", "postgres")
    user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    options = ("--username=mlflow", "--pwfile=/tmp/password", "--auth=scram-sha-256", "--no-sync")
    made = machine.run(*user, initdb, "--pgdata=/tmp/database", *options)
    assert made.exit_code == 0, made.stderr
    places = ("-D", "/tmp/database", "-h", machine.address, "-k", "/tmp", "-c", "fsync=off")
    machine.serve(*user, postgres, *places, port=5432, log=machine.disk / "tmp/database.log")
    return machine


def _mlflow(box: Box, database: Machine, store_env: Mapping[str, str]) -> Machine:
    """Its runs in PostgreSQL, its artifacts, which go through it, in the bucket."""
    machine = box.machine("mlflow")
    uri = f"postgresql+psycopg2://mlflow:{DATABASE_PASSWORD}@{database.address}:5432/postgres"
    machine.serve(
        *("mlflow", "server", "--host", machine.address, "--port", "5000", "--workers", "1"),
        *("--artifacts-destination", f"s3://{BUCKET}/mlflow", "--allowed-hosts", f"{machine.address}:5000"),
        port=5000,
        log=machine.disk / "tmp/mlflow.log",
        env={**store_env, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    return machine
