"""Versions of a registered model, and the models logged for them, listed and deleted."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from pipeline.registry.aliases import aliases_of
from pipeline.registry.tags import KEY, MODEL_VERSIONS, quoted
from pipeline.registry.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that Nightjar registered, with what names it; `model_id` is that of the model logged for it."""

    name: str
    number: int
    aliases: tuple[str, ...]
    model_id: str | None

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"


def versions_of(tracking: Tracking, name: str) -> list[Registered]:
    """In the order of their numbers; what others have registered under the name is left out."""
    aliases: dict[str, list[str]] = {}
    for alias, number in aliases_of(tracking.client, name).items():
        aliases.setdefault(number, []).append(alias)
    models = _models_of(tracking, name)
    listed = [
        Registered(name, int(number), tuple(sorted(aliases.get(number, []))), models.get(number))
        for number, tags in _tags_of_versions(tracking, name).items()
        if KEY in tags
    ]
    return sorted(listed, key=lambda one: one.number)


def models_alone(tracking: Tracking, name: str) -> list[str]:
    """Ids of the models that were logged for a version of that name which is there no more."""
    there = _tags_of_versions(tracking, name)
    return [model_id for number, model_id in _models_of(tracking, name).items() if number not in there]


def _tags_of_versions(tracking: Tracking, name: str) -> dict[str, dict[str, str]]:
    client = tracking.client
    found = _all_pages(lambda token: client.search_model_versions(f"name = {quoted(name)}", page_token=token))
    return {str(one.version): dict(one.tags) for one in found}


def _models_of(tracking: Tracking, name: str) -> dict[str, str]:
    """Number of a version, whether it is there or not -> id of the model that Nightjar logged for it.

    By the model's own tag: of a version, MLflow's database does not tell the model. What an attempt to register it that
    was cut short has logged has no such tag, and the next attempt takes care of it.
    """
    client = tracking.client
    found = _all_pages(lambda token: client.search_logged_models([tracking.experiment_id], page_token=token))
    return {
        str(version["version"]): model.model_id
        for model in found
        if KEY in model.tags
        for version in json.loads(model.tags.get(MODEL_VERSIONS, "[]"))
        if version["name"] == name
    }


def num_bytes(tracking: Tracking, model_id: str) -> int:
    """Of the model's files."""

    def of_folder(path: str | None) -> int:
        found = tracking.client.list_logged_model_artifacts(model_id, path)
        return sum(of_folder(one.path) if one.is_dir else one.file_size or 0 for one in found)

    return of_folder(None)


def delete_version(tracking: Tracking, uri: str, model_id: str) -> None:
    """The version first, so that nothing names what is not whole; cut short, its model is one of `models_alone`."""
    name, _, number = uri.removeprefix("models:/").rpartition("/")
    tracking.client.delete_model_version(name, number)
    if model_id:
        delete_model(tracking, model_id)


def delete_model(tracking: Tracking, model_id: str) -> None:
    """Its files, which MLflow alone would leave where they are, then itself."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    location = tracking.client.get_logged_model(model_id).artifact_location
    get_artifact_repository(location, tracking_uri=tracking.uri).delete_artifacts()
    parsed = urlparse(location)
    if parsed.scheme in ("", "file"):
        with suppress(OSError):  # where something else lies in it
            Path(unquote(parsed.path)).parent.rmdir()
    tracking.client.delete_logged_model(model_id)


def _all_pages(search: Callable[[str | None], Any]) -> list[Any]:
    found, token = [], None
    while True:
        page = search(token)
        found += page
        token = page.token
        if not token:
            return found
