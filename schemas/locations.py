"""Which keys of a config say where something lies, and what a relative path among them is relative to.

What stands in a file is relative to that file's folder; what is typed, to where the command stands.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from schemas.checking import models_in

SQLITE = "sqlite:///"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_LOCAL = re.compile(r"(?:file|local)://")


def absolute(uri: str, folder: Path | None = None) -> str:
    """A local path made absolute, from `folder` or else from here; what has a scheme stays, without a last slash."""
    uri = _LOCAL.sub("", uri, count=1) if _LOCAL.match(uri) else uri
    if not uri or _SCHEME.match(uri):
        return re.sub(r"(?<=[^/:])/+$", "", uri)
    return os.path.abspath(os.path.join(folder or "", os.path.expanduser(uri)))  # noqa: PTH100, PTH111, PTH118 (no Path)


def absolute_tracking(uri: str, folder: Path | None = None) -> str:
    """The path of an SQLite file made absolute; other addresses of MLflow as they are."""
    path = uri.removeprefix(SQLITE)
    is_path = uri.startswith(SQLITE) and path not in ("", ":memory:") and not _SCHEME.match(path)
    return SQLITE + absolute(path, folder) if is_path else uri


def absolute_model(name: str, folder: Path | None = None) -> str:
    """The folder of a bundle made absolute; the name of a stage or of a registered model as it is."""
    return absolute(name, folder) if "/" in name else name


@dataclass(frozen=True, slots=True)
class Location:
    """Marks a field that says where something lies, by what makes it absolute from a folder."""

    absolute: Callable[[str, Path | None], str]


StorageUri = Annotated[str, Location(absolute), Field(min_length=1)]


def resolve(node: object, model: type[BaseModel], folder: Path, *, with_defaults: bool = False) -> None:
    """Make the locations in a tree of keys and values absolute, those that defaults put there with them."""
    if isinstance(node, list):
        for element in node:
            resolve(element, model, folder, with_defaults=with_defaults)
    if not isinstance(node, dict):
        return
    for name, field in model.model_fields.items():
        location = next((one for one in field.metadata if isinstance(one, Location)), None)
        value = node.get(name, field.default if with_defaults else None)
        if location and isinstance(value, str):
            node[name] = location.absolute(value, folder)
        for inner in models_in(field.annotation):
            resolve(node.get(name), inner, folder, with_defaults=with_defaults)
