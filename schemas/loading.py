"""From a YAML file and overrides of its keys to a checked config, whose locations are absolute."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas import redaction
from schemas.checking import BY_HAND, Config, validate
from schemas.errors import Refusal
from schemas.locations import resolve
from schemas.yaml_text import MAX_DEPTH, parse


def load(config_class: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read `path`, apply `a.b=c` overrides in order (values are YAML), check.

    A relative path in the file is relative to the file's folder, one in an override to where the command stands.
    `data.features` may be the path of a FeatureSpec. A list's element is named by its position or by its `name`:
    `stages.fnn.epochs=2`.
    """
    file = Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises for the home of nobody)
    tree = read_yaml(file)
    resolve(tree, config_class, file.absolute().parent, with_defaults=True)
    for override in overrides:
        _apply(tree, override)
    resolve(tree, config_class, Path.cwd())
    features = tree.get("data", {}).get("features") if isinstance(tree.get("data"), dict) else None
    if isinstance(features, str):
        tree["data"]["features"] = read_yaml(Path(features))
    redaction.remember(tree)
    return validate(config_class, tree, str(path), BY_HAND)


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


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *parents, last = parts = key.split(".")
    where = f"--set {override if override.isprintable() else repr(override)}"
    if not equals or not all(parts) or not key.isprintable() or len(parts) > MAX_DEPTH:
        raise Refusal(
            found=repr(override),
            expected="a.b=c, each name between dots a key of the config",
            where="--set",
            remedy="for example --set cluster.num_workers=2",
        )
    node: dict[str, Any] | list[Any] = tree
    for part in parents:
        node = _child(node, part, where)
    value = parse(text, where, "write a value as YAML has it, in quotes where it is text", is_file=False)
    if isinstance(node, list):
        node[_index(node, last, where)] = value
    else:
        node[last] = value


def _child(node: dict[str, Any] | list[Any], part: str, where: str) -> dict[str, Any] | list[Any]:
    """The mapping or list at a key or element; where there is nothing yet, a mapping is put."""
    if isinstance(node, list):
        index = _index(node, part, where)
        if node[index] is None:
            node[index] = {}
        child = node[index]
    else:
        if node.get(part) is None:
            node[part] = {}
        child = node[part]
    if not isinstance(child, dict | list):
        raise Refusal(
            found=f"{part!r} holds {child!r}, which has no keys",
            expected="a key of a mapping or an element of a list",
            where=where,
            remedy="name the key as it stands in the config",
        )
    return child


def _index(elements: list[Any], part: str, where: str) -> int:
    names = [element.get("name") if isinstance(element, dict) else None for element in elements]
    index = position(names, part)
    if index is None:
        choices = ", ".join(str(name) for name in names if name is not None)
        raise Refusal(
            found=repr(part),
            expected=f"one of {choices}, or a position below {len(elements)}"
            if choices
            else f"a position below {len(elements)}",
            where=where,
            remedy="name the element as the config does",
        )
    return index


def position(names: Sequence[object], part: str) -> int | None:
    """Where in a list the element is that an override names, by its `name` or else its position; None: nowhere."""
    if part in names:
        return names.index(part)
    # No `isdigit`, which superscripts are as well; a number of more digits is no position, and may be too long for int.
    return int(part) if re.fullmatch(r"[0-9]{1,9}", part) and int(part) < len(names) else None
