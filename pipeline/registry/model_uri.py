"""What the URI of a model names: a registered version, an alias, a logged model, one of a run, or a bundle's folder."""

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from pipeline.registry import bundle, server
from pipeline.registry.aliases import aliases_of
from pipeline.registry.bundle import Bundle, Contents
from pipeline.registry.tags import BUNDLE, EXTERNAL, quoted
from pipeline.registry.tracking import Tracking, require
from pipeline.runtime import files
from schemas.config import MLflowConfig
from schemas.errors import Refusal

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from pipeline.registry.client import Client

BUNDLE_OF_MODEL = "artifacts/bundle"
MLMODEL = "MLmodel"
logger = logging.getLogger(__name__)
MODELS = "models:/"
REGISTERED = (MODELS, "runs:/")
SHAPES = {
    "models": r"models:/[^/@]*[^/@\s][^/@]*(@[^/@]+|/[^/@]+)?",
    "runs": r"runs:/[^/]+/.+",
    "file": r"file:(//(localhost)?(?=/))?(?!//)[^?#]+",
}
FOLDERS = ("s3", "s3a", "gs", "abfs", "abfss", "wasb", "wasbs", "hdfs", "dbfs", "mlflow-artifacts")
"""Schemes of what MLflow reads a model's folder from."""
MAX_CHARACTERS, MAX_NAME_BYTES = 1000, 255  # of a URI; of a part of a path, as file systems have it
MAX_SHOWN = 200
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def pinned(tracking: Tracking, model_uri: str) -> str:
    """`models:/name@alias` as the version it names now, which the alias will not always; other URIs as they are.

    Raises Refusal for what is no URI of a model.
    """
    _check(model_uri)
    if not model_uri.startswith(MODELS):
        return model_uri
    name, at, alias = model_uri.removeprefix(MODELS).partition("@")
    number = aliases_of(tracking.client, name).get(alias) if at else None
    return model_uri if number is None else f"{MODELS}{name}/{number}"


def where_registered(model_uri: str, config: MLflowConfig, work_uri: str) -> Tracking:
    """What to look the model up in; for a bundle's folder, which nobody has to have registered, nothing is asked.

    Raises Refusal for what is no URI of a model, and as `tracking.require`.
    """
    _check(model_uri)
    if model_uri.startswith(REGISTERED):
        return require(config, work_uri)
    return Tracking(server.resolve_uri(config, work_uri), "")


def load_bundle(tracking: Tracking, model_uri: str) -> Bundle:
    """The bundle in `models:/name@alias`, `models:/name/3`, `models:/<id>`, `runs:/...`, or a folder.

    Raises Refusal if there is no such model, or if it is none of Nightjar's.
    """
    location, sha256, folder = _place_of(tracking, model_uri)
    if folder:
        return Bundle.load(folder if (folder / bundle.CONTENTS).exists() else folder / BUNDLE_OF_MODEL, sha256)
    with tempfile.TemporaryDirectory() as temporary:
        # The tensors are views of a mapped file, which outlives its name.
        return Bundle.load(_download(tracking, model_uri, f"{location}/{BUNDLE_OF_MODEL}", temporary), sha256)


@contextmanager
def fetched(tracking: Tracking, model_uri: str) -> Iterator[tuple[Path, Bundle]]:
    """The folder that MLflow loads the model from, here or brought here for as long as the body runs; and its bundle.

    Raises Refusal as `load_bundle`, and for a bundle that MLflow knows nothing of.
    """
    location, sha256, folder = _place_of(tracking, model_uri)
    with tempfile.TemporaryDirectory() as temporary:
        folder = folder or _download(tracking, model_uri, location, temporary)
        if (folder / bundle.CONTENTS).exists():
            raise _no_such(model_uri, "a bundle by itself", f"a folder of MLflow's, with a file {MLMODEL}")
        yield folder, Bundle.load(folder / BUNDLE_OF_MODEL, sha256)


def _place_of(tracking: Tracking, model_uri: str) -> tuple[str, str | None, Path | None]:
    """Where the model's files are, the digest of its bundle.json, if it was kept, and their folder on this machine."""
    _check(model_uri)
    is_registered = model_uri.startswith(REGISTERED)
    location, sha256 = _locate(tracking.client, model_uri) if is_registered else (model_uri, None)
    if _scheme(location) not in ("", "file"):
        return location, sha256, None
    # Where MLflow writes to a path, it takes it for a part of a URI.
    is_quoted = location != model_uri or location.startswith("file:")
    path = urlparse(location).path if location.startswith("file:") else location
    return location, sha256, Path(unquote(path) if is_quoted else path)


def contents_of(tracking: Tracking, model_uri: str) -> Contents:
    """What a registered version, or a logged model, says it is; its weights stay where they are.

    Raises Refusal where its bundle.json is not what was registered.
    """
    location, sha256, folder = _place_of(tracking, model_uri)
    if folder:
        return bundle.read_contents(folder / BUNDLE_OF_MODEL, sha256)
    with tempfile.TemporaryDirectory() as temporary:
        contents = f"{location}/{BUNDLE_OF_MODEL}/{bundle.CONTENTS}"
        return bundle.read_contents(_download(tracking, model_uri, contents, temporary).parent, sha256)


def _download(tracking: Tracking, model_uri: str, artifact_uri: str, folder: str) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri, dst_path=folder, tracking_uri=tracking.uri))
    except (MlflowException, ImportError, ValueError, *files.errors()) as error:
        raise _no_such(model_uri, server.first_line(error), "a model that Nightjar registered") from error


def _scheme(uri: str) -> str:
    """Empty of a path, which may hold a colon too."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:/)|file(?=:)", uri)
    return found[0].lower() if found else ""


def _check(model_uri: str) -> None:
    """Raise Refusal for what neither MLflow nor a file system could be asked for."""
    scheme, pattern = _scheme(model_uri), SHAPES.get(_scheme(model_uri))
    longest = max(len(part.encode(errors="replace")) for part in model_uri.split("/"))
    if not model_uri.strip():
        found = "no model"
    elif UNREADABLE.search(model_uri):
        found = "signs that no name has"
    elif len(model_uri) > MAX_CHARACTERS or longest > MAX_NAME_BYTES:
        found = f"a URI of {len(model_uri):,} characters, {longest:,} bytes between two slashes"
    elif scheme not in ("", *SHAPES, *FOLDERS):
        found = f"a URI of scheme {scheme!r}"
    elif pattern and not re.fullmatch(pattern, model_uri):
        found = f"{model_uri!r}, which names no model"
    else:
        return
    raise _no_such(model_uri, found, "the URI of a model")


def _locate(client: "Client", model_uri: str) -> tuple[str, str | None]:
    """Where the model's files are, and the digest of its bundle.json, where it has been kept."""
    from mlflow.exceptions import MlflowException

    scheme, _, named = model_uri.partition(":/")
    name, _, number = named.partition("/")
    try:
        if scheme == "runs":
            model = _model_of_run(client, model_uri, name, number)
            return str(model.artifact_location), _digest_of(model_uri, model.tags)
        if "@" in named:
            name, _, alias = named.partition("@")
            number = aliases_of(client, name).get(alias, "")
            if not number:
                raise _no_such(model_uri, f"no alias {alias!r} of {name!r}", _existing(client, name))
        if number:
            tags = client.get_model_version(name, number).tags
            return str(client.get_model_version_download_uri(name, number)), _digest_of(model_uri, tags)
        model = client.get_logged_model(named)
        return str(model.artifact_location), _digest_of(model_uri, model.tags)
    except MlflowException as error:
        raise _no_such(model_uri, server.first_line(error), _existing(client, name)) from error


def _digest_of(model_uri: str, tags: Mapping[str, str]) -> str | None:
    if BUNDLE not in tags:
        logger.warning("%s was registered before digests were kept: its %s is not checked", model_uri, bundle.CONTENTS)
    return tags.get(BUNDLE)


def _model_of_run(client: "Client", model_uri: str, run_id: str, name: str) -> "LoggedModel":
    """The newest model of that name that the run logged."""
    experiment_id = client.get_run(run_id).info.experiment_id
    models = client.search_logged_models([experiment_id], f"source_run_id = {quoted(run_id)}")
    models = [model for model in models if EXTERNAL not in model.tags]
    named = [model for model in models if model.name == name]
    if not named:
        expected = f"one of {', '.join(sorted({model.name for model in models})) or 'no models'}, which the run logged"
        raise _no_such(model_uri, f"no model {name!r} of run {run_id}", expected)
    return max(named, key=lambda model: model.creation_timestamp)


def _existing(client: "Client", name: str) -> str:
    versions = []
    with suppress(ValueError):  # a name that MLflow cannot be asked for
        versions = [version.version for version in client.search_model_versions(f"name = {quoted(name)}")]
    if versions:
        aliases = [f"{name}@{alias} (version {number})" for alias, number in sorted(aliases_of(client, name).items())]
        return ", ".join([f"one of the versions {', '.join(map(str, versions))} of {name}", *aliases])
    names = sorted(model.name for model in client.search_registered_models())
    return f"one of the registered models {', '.join(names)}" if names else "a registered model; there is none yet"


def _no_such(model_uri: str, found: str, expected: str) -> Refusal:
    remedy = (
        "correct the URI: models:/name@champion, models:/name/3, models:/<model id>, runs:/<run>/<stage> or a folder"
    )
    where = model_uri if model_uri.isprintable() else repr(model_uri)
    return Refusal(found=found, expected=expected, where=where.strip()[:MAX_SHOWN] or "the model's URI", remedy=remedy)
