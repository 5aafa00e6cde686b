"""Where a command finds its log, its work folder and MLflow: told as it begins, and as short as it can be typed."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from rich.console import Console

from pipeline.data import layouts
from pipeline.registry import opening, server
from pipeline.report.page import REPORT
from pipeline.runtime import files
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load
from schemas.redaction import redacted

OF_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray's job server
SUBMITTED = "CONFIG"  # stands for the path of the config that was submitted


def load_config(path: Path, overrides: Sequence[str] | None) -> TrainConfig:
    """The config of a verb, its places told on stderr, so that a wrong one is seen. Raises Refusal for what is none."""
    config = load(TrainConfig, path, overrides or [])
    opening.configs_lie_in(path.parent)
    layouts.require_folder(config.data.logs_uri)
    files.require_usable(config.data.logs_uri, "data.logs_uri")
    files.require_usable(config.work_uri, "work_uri")
    mlflow = server.resolve_uri(config.mlflow, config.work_uri)
    words = f"log {config.data.logs_uri}, work folder {config.work_uri}, MLflow {mlflow}"
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    console.print(redacted(words), style="dim")
    return config


def require_work(config: TrainConfig) -> None:
    """Raise Refusal for a work folder that is not there, of which nothing could be told but that it is empty."""
    if not files.exists(config.work_uri):
        raise Refusal(
            found=f"no work folder at {config.work_uri}",
            expected="the one that `nightjar train` or a night has made",
            where="work_uri",
            remedy="correct --config or work_uri, if it lies elsewhere; else run a night first",
        )


def is_a_job() -> bool:
    """Whether Ray's job server runs this command, on a machine whose folders the reader of its log does not see."""
    return OF_A_JOB in os.environ


def typed(uri: str) -> str:
    """As it can be typed here, whichever is shorter of a path from here and the whole one; of a job the whole one."""
    if "://" in uri or is_a_job():
        return shlex.quote(uri)
    return shlex.quote(min(os.path.relpath(uri), uri, key=len))


def page_of(run_id: str, work_uri: str) -> str:
    """Where the page of a run is: the file, where it lies in the work folder, as it can be opened from here."""
    uri = f"{work_uri}/mlartifacts/{run_id}/artifacts/{REPORT}"
    return typed(uri) if files.exists(uri) else f"{REPORT} of MLflow's run {run_id}"


def program() -> str:
    """What this command is called by, as it can be typed here."""
    return "nightjar" if which("nightjar") or is_a_job() else shlex.quote(os.path.relpath(sys.argv[0]))


def as_typed(verb: str, config: Path, overrides: Sequence[str], *options: str) -> str:
    """A command that can be typed here, but for the secrets of its overrides.

    For a job it names the config that was submitted, which its reader has, and not the copy that it was given.
    """
    if is_a_job():
        return f"{program()} {shlex.join([verb, '--config', SUBMITTED, *options])}"
    sets = [word for override in overrides for word in ("--set", redacted(override))]
    return f"{program()} {shlex.join([verb, '--config', str(config), *sets, *options])}"
