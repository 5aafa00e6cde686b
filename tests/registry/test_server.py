import os

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _verify_schema
from processes import answering, hanging_up

from pipeline.registry import server
from schemas.config import MLflowConfig
from schemas.errors import Refusal

NOBODY = "http://127.0.0.1:9"  # the discard port, where nothing listens


def test_the_tracking_uri_is_the_configs_else_the_environments_else_in_the_work_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow")
    assert server.resolve_uri(MLflowConfig(tracking_uri="postgresql://db"), "work") == "postgresql://db"
    assert server.resolve_uri(MLflowConfig(), "work") == "https://mlflow"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert server.resolve_uri(MLflowConfig(), "here") == f"sqlite:///{tmp_path}/here/mlflow.db"
    assert server.resolve_uri(MLflowConfig(tracking_uri="sqlite:///a.db"), "work") == f"sqlite:///{tmp_path}/a.db"


NOWHERE = ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "sqlite+pysqlite:///a.db"]


@pytest.mark.parametrize(
    "uri", ["file:///tmp/mlruns", "mlruns", "/tmp/mlruns", "sqlite:///s3://bucket/mlflow.db", *NOWHERE]
)
def test_folders_object_stores_and_memory_are_no_tracking_uri(uri):
    with pytest.raises(Refusal, match="a tracking server"):
        server.resolve_uri(MLflowConfig(tracking_uri=uri), "work")


def test_a_work_folder_in_an_object_store_needs_a_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(Refusal, match="s3://bucket/work"):
        server.resolve_uri(MLflowConfig(), "s3://bucket/work")


def test_a_scheme_that_mlflow_does_not_know_is_told_as_one(tmp_path):
    with pytest.raises(Refusal, match="unsupported URI 'foo://x'"):
        server.reach(MLflowConfig(tracking_uri="foo://x"), str(tmp_path))


def test_a_server_that_does_not_answer_is_asked_twice_and_refused(tmp_path):
    with pytest.raises(Refusal, match=NOBODY):
        server.reach(MLflowConfig(tracking_uri=NOBODY), str(tmp_path))
    with hanging_up() as (uri, requests), pytest.raises(Refusal, match=uri):
        server.reach(MLflowConfig(tracking_uri=uri), str(tmp_path))
    assert len(requests) == 2, "MLflow's own patience is about four minutes"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_database_server_that_does_not_answer_is_asked_once_and_refused(tmp_path):
    with pytest.raises(Refusal, match="refused"):
        server.reach(MLflowConfig(tracking_uri="postgresql+psycopg2://127.0.0.1:9/mlflow"), str(tmp_path))
    with hanging_up() as (uri, connections), pytest.raises(Refusal, match="closed the connection"):
        server.reach(MLflowConfig(tracking_uri=uri.replace("http", "postgresql+psycopg2")), str(tmp_path))
    assert len(connections) <= 3, "MLflow's own patience is ten attempts in almost two minutes"


@pytest.mark.filterwarnings("ignore")
def test_a_database_server_with_the_tables_of_an_older_mlflow_is_refused_with_how_to_upgrade_it(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/old.db")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(sqlalchemy.text("INSERT INTO alembic_version VALUES ('0a1b2c')"))
    with pytest.raises(MlflowException) as raised:
        _verify_schema(engine)
    engine.dispose()
    assert "mlflow db upgrade URI" in server.remedy_of(server.first_line(raised.value))


@pytest.mark.parametrize(
    ("status", "text", "remedy"),
    [
        (401, "You are not authenticated.", "MLFLOW_TRACKING_TOKEN"),
        (403, "Permission denied", "MLFLOW_TRACKING_USERNAME"),
        (403, "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
        (404, "no such page", "start the server or correct mlflow.tracking_uri"),
    ],
)
def test_a_server_that_answers_and_lets_nobody_in_is_refused_with_what_it_asks_for(tmp_path, status, text, remedy):
    with answering(status, text) as uri, pytest.raises(Refusal, match=text) as refused:
        server.reach(MLflowConfig(tracking_uri=uri), str(tmp_path))
    assert remedy in refused.value.remedy
