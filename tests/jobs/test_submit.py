"""What `nightjar submit` refuses before it asks a cluster for anything."""

import pytest
import yaml
from command import nightjar
from processes import free_port
from session import Session

from jobs.__main__ import app

OF_A_CLUSTER = ("submit", "jobs", "logs", "stop")


@pytest.fixture
def in_bucket(session: Session) -> Session:
    """Its config names places that all nodes reach."""
    path = session.folder / "train.yaml"
    config = yaml.safe_load(path.read_text())
    config |= {"work_uri": "s3://clicks/work", "mlflow": {"tracking_uri": "http://mlflow:5000"}}
    config["data"]["logs_uri"] = "s3://clicks/logs"
    path.write_text(yaml.safe_dump(config))
    return session


TRAIN = ("train", "--config", "train.yaml")


def test_a_wrong_config_is_refused_here_and_not_by_a_job(session):
    message = session.refused("submit", "--address", "http://127.0.0.1:9", "--", *TRAIN, "--set", "sead=1")
    assert message["remedy"] == "did you mean 'seed'?"


def test_a_wrong_option_of_the_verb_is_a_usage_error_of_the_verb(session):
    done = nightjar("submit", "--", "nightly", "--config", "train.yaml", "--dat", "2026-11-16", cwd=session.folder)
    assert done.exit_code == 2
    assert "Usage: nightjar nightly" in done.stderr


@pytest.mark.parametrize("verb", ["ui", "generate", "submit", "nightlly"])
def test_a_verb_without_a_config_is_refused_and_those_with_one_are_named(session, verb):
    message = session.refused("submit", "--", verb)
    assert message["found"] == repr(verb)
    assert "nightly" in message["expected"]
    assert "ui" not in message["expected"].split(", ")


def test_paths_of_this_machine_are_refused_unless_they_are_said_to_be_shared(session):
    address = f"http://127.0.0.1:{free_port()}"
    message = session.refused("submit", "--address", address, "--", *TRAIN)
    assert message["where"] in ("work_uri", "data.logs_uri")
    message = session.refused("submit", "--address", address, "--shared-paths", "--", *TRAIN)
    assert "Connection refused" in message["found"]


def test_a_secret_is_refused_before_a_cluster_is_asked_for(in_bucket):
    message = in_bucket.refused("submit", "--", *TRAIN, "--set", "data.logs_uri=s3://me:s3cr1t-k3y@clicks/logs")
    assert message["where"] == "config.yaml.data.logs_uri"
    assert "s3cr1t-k3y" not in str(message)


@pytest.mark.parametrize("address", ["auto", "local", "ray://head:10001", "http://", "http://head:port"])
def test_an_address_that_is_no_dashboards_is_refused(in_bucket, address):
    message = in_bucket.refused("submit", "--address", address, "--", *TRAIN)
    assert message["expected"] == "the address of Ray's dashboard, as http://head:8265"


def test_where_nothing_listens_all_verbs_of_a_cluster_say_so(in_bucket, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    for command in (["submit", "--", *TRAIN], ["jobs"], ["logs", "x"], ["stop", "x"]):
        message = in_bucket.refused(*command)
        assert "Connection refused" in message["found"]
        assert "RAY_ADDRESS" in message["where"]


def test_the_verbs_of_a_cluster_stand_in_the_help():
    assert {*OF_A_CLUSTER} <= {command.name for command in app.registered_commands}
