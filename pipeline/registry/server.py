"""Where MLflow is and whether it answers: a tracking server, or a database in its place."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.registry import database
from pipeline.registry.database import WHERE
from pipeline.registry.tags import EXPERIMENT_KIND, PRIMARY_METRIC
from pipeline.runtime import environment
from schemas import redaction
from schemas.config import MLflowConfig
from schemas.errors import Refusal, imported
from schemas.locations import SQLITE, absolute_tracking
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.registry.client import Client

# What the pages compare runs by, and that they are about training and not about language models.
EXPERIMENT_TAGS = {
    PRIMARY_METRIC: "test/ne",
    EXPERIMENT_KIND: "custom_model_development",
}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
PATIENT = {RETRIES: "3"}  # with a server that is away for a moment; MLflow's own patience is about four minutes
IMPATIENT = {RETRIES: "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
ANSWER_SECONDS = 5.0  # for a connection to one
WRONG_HOST = "Invalid Host header"
CREDENTIALS = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to what the server lets in, "
    "here and where Ray's nodes start"
)

_opened = ""


def reach(config: MLflowConfig, work_uri: str) -> tuple[str, str]:
    """(tracking URI, experiment id), both made where there are none. Raises Refusal, within seconds."""
    uri = resolve_uri(config, work_uri)
    path = database_of(uri)
    be_quiet()
    if path is not None:
        database.make(path)
    with _answering(config, uri):
        _ask_database(uri)
        client = open_client(uri)
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            # A server has a place for artifacts of its own; a database that is used directly has none.
            artifacts = None if uri.startswith("http") else f"{work_uri}/mlartifacts"
            return uri, _create_experiment(client, config.experiment, artifacts)
        if experiment.lifecycle_stage == "deleted":
            raise ValueError(f"experiment {config.experiment!r}, which is deleted")
        return uri, str(experiment.experiment_id)


def find(config: MLflowConfig, work_uri: str) -> tuple[str, str | None] | None:
    """(tracking URI, experiment id, where there is one) for those who only read; None where nothing was recorded yet.

    Nothing is made. Raises Refusal, within seconds, if MLflow does not answer.
    """
    uri = resolve_uri(config, work_uri)
    path = database_of(uri)
    be_quiet()
    if path is not None and database.state_of(path) != "whole":
        return None
    with _answering(config, uri):
        _ask_database(uri)
        experiment = open_client(uri).get_experiment_by_name(config.experiment)
        return uri, None if experiment is None else str(experiment.experiment_id)


def _ask_database(uri: str) -> None:
    """Raise what a database server answers to one attempt: MLflow makes ten, in almost two minutes, with no word."""
    kind = uri.partition(":")[0].partition("+")[0]
    if kind not in DATABASE_PORTS:
        return
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        if engine.url.host:
            address = engine.url.host, engine.url.port or DATABASE_PORTS[kind]
            socket.create_connection(address, ANSWER_SECONDS).close()
        engine.connect().close()
    finally:
        engine.dispose()


def _create_experiment(client: "Client", name: str, artifacts: str | None) -> str:
    """Its id; of that which another process has created meanwhile, if one has."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifacts, EXPERIMENT_TAGS))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)


@contextmanager
def _answering(config: MLflowConfig, uri: str) -> Iterator[None]:
    try:
        with impatience():
            yield
    except Exception as error:
        root = root_of(error)
        found = first_line(error if isinstance(root, KeyError) else root)  # of a scheme that MLflow does not know
        raise Refusal(
            found=found,
            expected=f"MLflow to answer, with an experiment {config.experiment!r} or leave to create it",
            where=redacted(uri),
            remedy=remedy_of(found)
            or "start the server or correct mlflow.tracking_uri; without one, runs go to the work folder",
        ) from error


def remedy_of(found: str) -> str:
    """Where a server that answers would have somebody else ask, or by another name, or has an older database.

    Else nothing.
    """
    if WRONG_HOST in found:
        return "list the host, with its port, in the server's --allowed-hosts, as it stands in mlflow.tracking_uri"
    if "out-of-date database schema" in found:
        return "take a backup of the database, then: mlflow db upgrade URI, with its own; or name one of this MLflow"
    if re.search("error code 40[13]|password authentication failed", found):
        return CREDENTIALS
    return ""


def resolve_uri(config: MLflowConfig, work_uri: str) -> str:
    """The config's URI, else $MLFLOW_TRACKING_URI, from here, else SQLite in the work folder. Raises Refusal."""
    named = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    uri = absolute_tracking(named or f"{SQLITE}{work_uri}/mlflow.db")
    scheme = uri.partition(":")[0].partition("+")[0]
    is_file = uri.startswith(f"{SQLITE}/") and not re.search("[?#]|://", uri.removeprefix(SQLITE))
    if is_file or (scheme not in ("sqlite", "file") and "://" in uri) or scheme.startswith("databricks"):
        return uri
    raise Refusal(
        found=redacted(uri),
        expected=f"a tracking server (http, https) or a database ({SQLITE}path.db, postgresql://, ...)",
        where=WHERE,
        remedy="name a server or a local file: MLflow records nothing in folders, in object stores or in memory",
    )


def database_of(uri: str) -> Path | None:
    """The file of a tracking URI that names one."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def open_client(uri: str) -> "Client":
    """Imports MLflow, which takes seconds. A database is looked at before, by whoever asks first."""
    global _opened
    _opened = uri
    redaction.remember(uri)
    be_quiet()
    from pipeline.registry.client import Client

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    # It shows the traceback of a database's error, and the rows it was about, and then raises it as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return Client(uri)


def be_quiet() -> None:
    """Before MLflow is imported: its telemetry off, and its terminal output down to warnings."""
    for name, value in {**QUIET, **PATIENT}.items():
        os.environ.setdefault(name, value)


def opened() -> str:
    """The URI that this process last opened: MLflow's exceptions do not name the one they are of."""
    return _opened


def errors() -> tuple[type[Exception], ...]:
    """What MLflow raises, and lets through of its requests and its database. Some of them are OSErrors too."""
    return imported(
        "mlflow.exceptions:MlflowException",
        "requests.exceptions:RequestException",
        "urllib3.exceptions:HTTPError",
        "sqlalchemy.exc:DBAPIError",
        "sqlite3:OperationalError",
    )


def impatience() -> AbstractContextManager[None]:
    """Within, a server that does not answer is soon given up."""
    return environment.changed(IMPATIENT)


def root_of(error: BaseException) -> BaseException:
    """What it began with: of a failed request, the system's own word and not its wrappers'."""
    cause = error.__cause__ or error.__context__
    return error if cause is None else root_of(cause)


def first_line(error: BaseException) -> str:
    """The first line of what it says, redacted."""
    return redacted((str(error).splitlines() or [type(error).__name__])[0])[:300]
