"""From a YAML file and overrides of its keys to a checked config."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from schemas.checking import BY_HAND, Config, validate
from schemas.errors import Refusal


def load(config_class: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read `path`, apply `a.b=c` overrides in order (values are YAML), check.

    `data.features` may be the path of a FeatureSpec, relative to the config's folder. A list's element is named by its
    position or by its `name`: `stages.fnn.epochs=2`.
    """
    tree = read_yaml(path)
    for override in overrides:
        _apply(tree, override)
    features = tree.get("data", {}).get("features") if isinstance(tree.get("data"), dict) else None
    if isinstance(features, str):
        tree["data"]["features"] = read_yaml(path.parent / features)
    return validate(config_class, tree, str(path), BY_HAND)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping. Duplicate keys are refused: YAML itself would silently keep the last."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            found=f"a file that cannot be read: {error}",
            expected="a YAML file",
            where=str(path),
            remedy="check the path; configs to copy are in jobs/configs",
        ) from error
    try:
        tree = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader that also refuses duplicates)
    except yaml.YAMLError as error:
        raise Refusal(
            found=" ".join(str(getattr(error, "problem", None) or error).split()),
            expected="valid YAML in which every key stands once",
            where=f"{path}{_line_of(error)}",
            remedy="correct the file at that line",
        ) from error
    if not isinstance(tree, dict):
        raise Refusal(
            found=f"{type(tree).__name__} at the top",
            expected="a mapping of keys to values",
            where=str(path),
            remedy="start from one of jobs/configs",
        )
    return tree


class _UniqueKeyLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _line_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise Refusal(
            found=repr(override), expected="a.b=c", where="--set", remedy="for example --set cluster.num_workers=2"
        )
    node: Any = tree
    *parents, last = key.split(".")
    for part in parents:
        node = _child(node, part, override)
    value = yaml.safe_load(text)
    if isinstance(node, list):
        node[_position(node, last, override)] = value
    else:
        node[last] = value


def _child(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, override)]
    child = node.setdefault(part, {})
    if child is None:
        child = node[part] = {}
    if not isinstance(child, dict | list):
        raise Refusal(
            found=f"{part!r} holds {child!r}, which has no keys",
            expected="a key of a mapping or an element of a list",
            where=f"--set {override}",
            remedy="name the key as it stands in the config",
        )
    return child


def _position(elements: list[Any], part: str, override: str) -> int:
    """An element's position, given as a number or as the element's `name`."""
    names = [element.get("name") for element in elements if isinstance(element, dict)]
    if part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(elements):
        return int(part)
    raise Refusal(
        found=repr(part),
        expected=f"one of {', '.join(map(str, names))}, or a position below {len(elements)}",
        where=f"--set {override}",
        remedy="name the element as the config does",
    )


def absolute(uri: str) -> str:
    """A local path made absolute, since Ray's workers start elsewhere; a URI with a scheme as it is."""
    return uri if "://" in uri else os.path.abspath(os.path.expanduser(uri))  # noqa: PTH100, PTH111 (a URI, no Path)
