"""How a run begins in MLflow: its name, its tags, where it comes from, and its parameters."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.registry.tags import COMMIT, KIND, RUN_NAME, SOURCE_NAME, SOURCE_TYPE, USER

if TYPE_CHECKING:
    from pipeline.registry.client import Client

Kind = Literal["retrain", "night", "rebuild", "sweep", "stage", "trial"]
VERBS = {
    "retrain": "train",
    "stage": "train",
    "night": "nightly",
    "rebuild": "rebuild",
    "sweep": "sweep",
    "trial": "sweep",
}
MAX_PARAMS = 100  # of a call, by MLflow's API
PACKAGE = Path(__file__).parents[2]
_configs = PACKAGE


@dataclass(frozen=True, slots=True)
class Opening:
    """A run that is to be opened when what it records begins; it survives pickling."""

    experiment_id: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)
    """A tree of them."""

    def open(self, client: "Client", began_ms: int | None = None) -> str:
        """Create the run, as one that began then; its id."""
        from mlflow.entities import Param

        run_id: str = client.create_run(self.experiment_id, {RUN_NAME: self.name, **self.tags}, began_ms).info.run_id
        entities = [Param(key, value) for key, value in flatten(self.params)]
        for start in range(0, len(entities), MAX_PARAMS):
            client.log_batch(run_id, params=entities[start : start + MAX_PARAMS])
        return run_id


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value of each leaf; stages go by their name. The fields are left to features.json."""
    for key, value in tree.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {element["name"]: element for element in value}
        if isinstance(value, dict) and value:
            if key != "features":
                yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def configs_lie_in(folder: Path) -> None:
    """Say where the config lies of what this process is about to record."""
    global _configs
    _configs = folder.absolute()


def origin(kind: Kind) -> dict[str, str]:
    """Tags of a run that this command begins: its kind, by whom, by which verb, and of which state of the sources.

    That is the commit of the repository which the config lies in, else of the one that Nightjar lies in, if any.
    """
    commit = _commit(_configs) or _commit(PACKAGE)
    source = {SOURCE_NAME: f"nightjar {VERBS[kind]}", SOURCE_TYPE: "LOCAL"}
    return {KIND: kind, USER: user(), **source, **({COMMIT: commit} if commit else {})}


@cache
def _commit(folder: Path) -> str:
    """Of the folder's repository; nothing where it is in none, or there is no git."""
    from mlflow.utils.git_utils import get_git_commit

    return get_git_commit(str(folder)) or ""


def user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())
