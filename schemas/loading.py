"""From a YAML file and overrides of its keys to a checked config, whose locations are absolute."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas import redaction
from schemas.checking import BY_HAND, Config, validate
from schemas.errors import Refusal
from schemas.locations import resolve
from schemas.overrides import override
from schemas.yaml_text import parse


def load(config_class: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read `path`, apply `a.b=c` overrides in order (values are YAML), check.

    A relative path in the file is relative to the file's folder, one in an override to where the command stands.
    `data.features` may be the path of a FeatureSpec. A list's element is named by its position or by its `name`:
    `stages.fnn.epochs=2`.
    """
    file = Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises for the home of nobody)
    return checked(config_class, applied(config_class, read_yaml(file), file.absolute().parent, overrides), str(path))


def applied(
    config_class: type[Config], tree: dict[str, Any], folder: Path, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """The tree of a file in `folder`, changed: its paths made absolute, with the defaults of some, and overridden."""
    resolve(tree, config_class, folder, with_defaults=True)
    override(tree, config_class, overrides)
    resolve(tree, config_class, Path.cwd())
    return tree


def checked(config_class: type[Config], tree: dict[str, Any], where: str) -> Config:
    """The config of a tree whose paths are absolute; the feature spec is read where it is named by its path."""
    features = tree.get("data", {}).get("features") if isinstance(tree.get("data"), dict) else None
    if isinstance(features, str):
        tree = {**tree, "data": {**tree["data"], "features": read_yaml(Path(features))}}
    redaction.remember(tree)
    return validate(config_class, tree, where, BY_HAND)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping. Duplicate keys are refused: YAML itself would silently keep the last."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Refusal(
            found=f"a file that cannot be read: {error}",
            expected="a YAML file",
            where=str(path),
            remedy="check the path; configs to copy are in jobs/configs",
        ) from error
    tree = parse(text, str(path), "correct the file at that line")
    if not isinstance(tree, dict):
        raise Refusal(
            found=f"{'nothing' if tree is None else type(tree).__name__} at the top",
            expected="a mapping of keys to values",
            where=str(path),
            remedy="start from one of jobs/configs",
        )
    return tree
