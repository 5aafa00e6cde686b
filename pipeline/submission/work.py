"""What travels to a cluster: a small folder of resolved YAML, arguments and a few variables; and what may not."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel

from pipeline.submission.environment import TRACKING
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import read_yaml
from schemas.locations import SQLITE, Location
from schemas.redaction import redacted

CONFIG = "config.yaml"
LEASES = 1.5  # that are waited for: one, and what clocks and a slow store may add
PROGRAM = "nightjar"  # as it is called on the PATH of the cluster's head


@dataclass(frozen=True, slots=True)
class Work:
    """A verb with its config; `arguments` are all but `--config` and `--set`, which the config has taken in."""

    verb: str
    config: TrainConfig
    arguments: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    """Those of the arguments that say where something lies, by the option's name."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Other files of the folder, by name, with their text."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        """The folder that travels. Its config is whole: the feature spec in it, defaults spelled out."""
        return {CONFIG: _as_yaml(self._config), **self.beside}

    @property
    def texts(self) -> dict[str, str]:
        """All that those who may ask the job server are shown, by where it stands."""
        files = {CONFIG: self._config, **{name: yaml.safe_load(text) for name, text in self.beside.items()}}
        arguments = {f"the arguments of {self.verb}": shlex.join(self.arguments)}
        return {**dict(_texts(files)), **self.environment, **arguments}

    @property
    def _config(self) -> dict[str, object]:
        return _for_a_job(self.config).model_dump(mode="json")

    @property
    def num_bytes(self) -> int:
        return sum(len(text.encode()) for text in self.files.values())

    @property
    def entrypoint(self) -> str:
        """For /bin/sh, whose place the command takes, so that signals reach it."""
        return f"exec {shlex.join([PROGRAM, self.verb, '--config', CONFIG, *self.arguments])}"

    def write(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def _for_a_job(config: TrainConfig) -> TrainConfig:
    """Which cluster it runs on is not the config's to say: it is the one that the job is on.

    And where the config says nothing of it, the lease of a job that was lost with its head is waited for: what begins
    it again may be there before that has expired.
    """
    night = config.night
    if "wait_seconds" not in night.model_fields_set:
        night = derived(night, wait_seconds=LEASES * night.lease_seconds)
    return derived(config, cluster=derived(config.cluster, address=None), night=night)


def text_of(path: Path) -> str:
    """A YAML file without what a reader leaves away: comments, aliases."""
    return _as_yaml(read_yaml(path))


def _as_yaml(tree: object) -> str:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def require_portable(work: Work) -> None:
    """Refuse a place that another machine would look for on a disk of its own."""
    named = {name: uri for name, uri in work.environment.items() if name == TRACKING}
    places = [*_locations(work.config), *work.places.items(), *named.items()]
    for where, uri in places:
        if is_local(uri):
            raise Refusal(
                found=redacted(uri),
                expected="a place that every node of the cluster reaches, as s3://bucket/folder or http://mlflow:5000",
                where=where,
                remedy="put it there; or, where all nodes mount this very path, submit with --shared-paths",
            )


def require_no_secrets(work: Work) -> None:
    """Refuse what Ray would show in clear to everyone who may ask its job server."""
    for where, text in work.texts.items():
        if redacted(text) != text:
            raise Refusal(
                found=f"a secret: {redacted(text)}",
                expected="none: Ray's job server shows a job's config, arguments and environment in clear",
                where=redacted(where),
                remedy="leave it out, and give it to the nodes as a variable or a role of their own",
            )


def is_local(uri: str) -> bool:
    """Whether it is a path, or a database in a file; relative ones have been made absolute before."""
    return uri.removeprefix(SQLITE).startswith("/")


def _locations(model: BaseModel, above: str = "") -> Iterator[tuple[str, str]]:
    """The keys of a config that say where something lies, with what they say."""
    for name, known in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, str) and any(isinstance(one, Location) for one in known.metadata):
            yield f"{above}{name}", value
        nested = value if isinstance(value, tuple) else (value,)
        for index, one in enumerate(nested):
            if isinstance(one, BaseModel):
                yield from _locations(one, f"{above}{name}.{f'{index}.' if isinstance(value, tuple) else ''}")


def _texts(tree: object, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(value, f"{above}.{key}" if above else str(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _texts(value, f"{above}.{index}")
    elif isinstance(tree, str):
        yield above, tree
