"""Where MLflow is and whether it answers: a tracking server, or a database in its place."""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.registry.tags import EXPERIMENT_KIND, PRIMARY_METRIC
from schemas.config import MLflowConfig
from schemas.errors import Refusal, imported
from schemas.locations import SQLITE, absolute_tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

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
_SIGNATURE = re.compile(r"(?i)([?&](?:x-amz-[\w-]+|awsaccesskeyid|signature|sig|[\w-]*token)=)[^&\s'\"]+")

_opened = ""


def reach(config: MLflowConfig, work_uri: str) -> tuple[str, str]:
    """(tracking URI, experiment id), the experiment created where there is none. Raises Refusal, within seconds."""
    uri = resolve_uri(config, work_uri)
    try:
        with impatience():
            _create_database(uri)
            client = open_client(uri)
            experiment = client.get_experiment_by_name(config.experiment)
            if experiment is not None and experiment.lifecycle_stage == "deleted":
                raise ValueError(f"experiment {config.experiment!r}, which is deleted")
            if experiment is not None:
                return uri, str(experiment.experiment_id)
            # A server has a place for artifacts of its own; a database that is used directly has none.
            artifacts = None if uri.startswith("http") else f"{work_uri}/mlartifacts"
            return uri, str(client.create_experiment(config.experiment, artifacts, EXPERIMENT_TAGS))
    except Exception as error:
        raise Refusal(
            found=first_line(root_of(error)),
            expected=f"MLflow to answer, with an experiment {config.experiment!r} or leave to create it",
            where=redacted(uri),
            remedy="start the server or correct mlflow.tracking_uri; without one, runs go to the work folder",
        ) from error


def resolve_uri(config: MLflowConfig, work_uri: str) -> str:
    """The config's URI, else $MLFLOW_TRACKING_URI, from here, else SQLite in the work folder."""
    named = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    uri = absolute_tracking(named or f"{SQLITE}{work_uri}/mlflow.db")
    if uri.startswith(SQLITE) and "://" not in uri.removeprefix(SQLITE):
        return uri
    if uri.startswith((SQLITE, "file:")) or ("://" not in uri and not uri.startswith("databricks")):
        raise Refusal(
            found=uri,
            expected="a tracking server (http, https) or a database (sqlite:///, postgresql://, ...)",
            where="mlflow.tracking_uri, or MLFLOW_TRACKING_URI",
            remedy="MLflow no longer writes to folders, nor SQLite to object stores: name a server or a local file",
        )
    return uri


def open_client(uri: str) -> "MlflowClient":
    """Imports MLflow, which takes seconds, with its telemetry off and its terminal output down to warnings."""
    global _opened
    _opened = uri
    for name, value in {**QUIET, **PATIENT}.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    return MlflowClient(uri)


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


def _create_database(uri: str) -> None:
    """MLflow's hundreds of migrations each wait for the disk, 1 s instead of 6 in a file with a write-ahead log."""
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()


@contextmanager
def impatience() -> Iterator[None]:
    """Within, a server that does not answer is soon given up."""
    before = {name: os.environ.get(name) for name in IMPATIENT}
    os.environ.update(IMPATIENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def redacted(text: str) -> str:
    """Without the user names and passwords that URIs can hold, and without the keys of presigned ones."""
    text = re.sub(r"://[^/\s]+@", "://***@", text)
    return _SIGNATURE.sub(r"\1***", text)


def root_of(error: BaseException) -> BaseException:
    """What it began with: of a failed request, the system's own word and not its wrappers'."""
    cause = error.__cause__ or error.__context__
    return error if cause is None else root_of(cause)


def first_line(error: BaseException) -> str:
    """The first line of what it says, redacted."""
    return redacted((str(error).splitlines() or [type(error).__name__])[0])[:300]
