"""The best trial's config, as `nightjar train` takes it."""

import yaml

from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.errors import on_one_line
from schemas.redaction import HIDDEN, redacted, redacted_tree


def to_train(config: TrainConfig) -> TrainConfig:
    """The config without a share of validation rows that nothing goes by but the sweep: they are trained on then."""
    needs_validation = config.calibration != "none" or any(stage.early_stop for stage in config.stages)
    if needs_validation or not config.data.validation_share:
        return config
    return derived(config, data=derived(config.data, validation_share=0.0))


def as_yaml(config: TrainConfig, origin: str) -> str:
    """The whole config, with `origin` on the first line; its paths are absolute, so that they hold anywhere.

    A secret in a URI is left out, and the second line says so.
    """
    tree = config.model_dump(mode="json")
    shown = redacted_tree(tree)
    first_line = redacted(on_one_line(origin, None))
    told = "" if shown == tree else f"# {HIDDEN} stands for a secret: give the key that holds it again, by --set\n"
    return f"# {first_line}\n{told}{yaml.safe_dump(shown, sort_keys=False)}"
