"""Where a command finds its log, its work folder and MLflow: told as it begins, and as short as it can be typed."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.registry import server
from schemas.config import TrainConfig
from schemas.loading import load


def load_config(path: Path, overrides: Sequence[str] | None) -> TrainConfig:
    """The config of a verb; where its places are is told on stderr, so that a wrong one is seen."""
    config = load(TrainConfig, path, overrides or [])
    mlflow = server.resolve_uri(config.mlflow, config.work_uri)
    words = f"log {config.data.logs_uri}, work folder {config.work_uri}, MLflow {mlflow}"
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    console.print(server.redacted(words), style="dim")
    return config


def typed(uri: str) -> str:
    """As it can be typed here, whichever is shorter of a path from here and the whole one."""
    if "://" in uri:
        return shlex.quote(uri)
    return shlex.quote(min(os.path.relpath(uri), uri, key=len))
