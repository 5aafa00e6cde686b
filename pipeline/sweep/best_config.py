"""The best trial's config, as `nightjar train` takes it."""

import yaml

from pipeline.registry import server
from schemas.config import TrainConfig
from schemas.loading import absolute


def as_yaml(config: TrainConfig, origin: str) -> str:
    """The whole config, with `origin` on the first line; its paths are absolute, so that they hold anywhere."""
    tree = config.model_dump(mode="json")
    tree["work_uri"] = absolute(config.work_uri)
    tree["data"]["logs_uri"] = absolute(config.data.logs_uri)
    if config.mlflow.tracking_uri:
        tree["mlflow"]["tracking_uri"] = server.resolve_uri(config.mlflow, config.work_uri)
    first_line = server.redacted(" ".join(origin.split()))
    return f"# {first_line}\n{yaml.safe_dump(tree, sort_keys=False)}"
