"""The best trial's config, as `nightjar train` takes it."""

import yaml

from pipeline.registry import server
from schemas.config import TrainConfig


def as_yaml(config: TrainConfig, origin: str) -> str:
    """The whole config, with `origin` on the first line; its paths are absolute, so that they hold anywhere."""
    first_line = server.redacted(" ".join(origin.split()))
    return f"# {first_line}\n{yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False)}"
