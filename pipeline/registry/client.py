"""MLflow's client as everyone here has it: what people read in MLflow goes through it, and holds no secrets.

Descriptions, which MLflow's pages take for Markdown, show their words as they are: names, values and errors among them
may be anything.
"""

import re
from collections.abc import Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Metric, Param, Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from pipeline.registry.tags import NOTE
from schemas.redaction import redacted

MAX_PARAM_CHARACTERS = 6000  # a limit of MLflow's API
_INDENTED = re.compile(r"^[^\S\n]+", re.MULTILINE)  # lines of code
# An underscore within a word is none.
_MARKS = re.compile(r"[\\`*{}\[\]|#~>]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|^[-+=]", re.MULTILINE)
_LIST = re.compile(r"^(\d+)([.)])", re.MULTILINE)


class Client(MlflowClient):  # type: ignore[misc]  # MLflow's classes are untyped to us
    """The calls by which words are sent; all others are MLflow's own."""

    def create_run(self, experiment_id: str, tags: Mapping[str, str], start_time: int | None = None) -> Run:
        return super().create_run(experiment_id, start_time, _of_tags(tags))

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        super().set_tag(run_id, key, _of_tag(key, value))

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        super().set_experiment_tag(experiment_id, key, _of_tag(key, value))

    def log_batch(self, run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()) -> None:
        shown = [Param(one.key, redacted(one.value)[:MAX_PARAM_CHARACTERS]) for one in params]
        super().log_batch(run_id, metrics, shown)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        super().log_text(run_id, redacted(text), artifact_file)

    def create_logged_model(
        self,
        experiment_id: str,
        name: str,
        run_id: str,
        tags: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        return super().create_logged_model(experiment_id, name, run_id, _of_tags(tags), dict(params or {}))

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        super().set_model_version_tag(name, version, key, _of_tag(key, value))

    def update_model_version(
        self, name: str, version: str, description: str, links: Sequence[tuple[str, str]] = ()
    ) -> ModelVersion:
        """`links`: words and where they lead, in a line after the description."""
        linked = " · ".join(f"[{_of_tag(NOTE, words)}]({target})" for words, target in links)
        return super().update_model_version(
            name, version, "\n\n".join(filter(None, [_of_tag(NOTE, description), linked]))
        )

    def update_registered_model(self, name: str, description: str, items: Sequence[str] = ()) -> RegisteredModel:
        """`items`: a list after the description."""
        listed = "\n".join(f"- {_of_tag(NOTE, item)}" for item in items)
        return super().update_registered_model(name, "\n\n".join(filter(None, [_of_tag(NOTE, description), listed])))


def as_markdown(text: str) -> str:
    """Markdown that reads as the text does."""
    lines = _INDENTED.sub("", text.replace("&", "&amp;").replace("<", "&lt;"))
    return _LIST.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", lines))


def _of_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: _of_tag(key, value) for key, value in tags.items()}


def _of_tag(key: str, value: str) -> str:
    return as_markdown(redacted(value)) if key == NOTE else redacted(value)
