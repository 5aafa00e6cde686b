"""From a YAML file and overrides to a checked config; whatever is wrong is refused with the place and the remedy."""

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import Refusal
from schemas.features import FeatureSpec

Config = TypeVar("Config", bound=BaseModel)
RENAMED = {"rows": "embedding"}  # keys that configs had before


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
    return validate(config_class, tree, str(path))


def load_features(path: Path) -> FeatureSpec:
    return validate(FeatureSpec, read_yaml(path), str(path))


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


def validate(config_class: type[Config], tree: Mapping[str, Any], where: str) -> Config:
    """The config, or a Refusal that names the first thing wrong."""
    try:
        return config_class.model_validate(tree)
    except ValidationError as error:
        # An unknown key often causes the errors beside it (its right spelling is then missing): name it first.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise _refusal(config_class, details[0], len(details), where) from error


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


def _refusal(config_class: type[BaseModel], detail: ErrorDetails, num_errors: int, where: str) -> Refusal:
    key, known = _place(config_class, detail["loc"])
    more = f" (and {num_errors - 1} more)" if num_errors > 1 else ""
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        return Refusal(
            found=f"unknown key {name!r}{more}",
            expected=f"one of {', '.join(known)}",
            where=f"{where}: {key}",
            remedy=_instead_of(name, known),
        )
    value = detail.get("input")
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
        context = detail["ctx"]
        tag = context["discriminator"].strip("'()_")
        return Refusal(
            found=f"{tag}: {context['tag']}" if "tag" in context else f"no key {tag!r}",
            expected=f"{tag} to be one of {context['expected_tags']}" if "tag" in context else f"a key {tag!r}",
            where=f"{where}: {key}",
            remedy="the configs in jobs/configs have one of each",
        )
    found = "nothing" if detail["type"] == "missing" else repr(value) if not isinstance(value, dict) else "these keys"
    return Refusal(
        found=found[:200] + more,
        expected=detail["msg"].removeprefix("Value error, "),
        where=f"{where}: {key}",
        remedy="correct the value; the JSON Schemas in schemas/json describe every key to your editor",
    )


def _instead_of(unknown: str, known: Sequence[str]) -> str:
    if RENAMED.get(unknown) in known:
        return f"the key is called {RENAMED[unknown]!r} now: rename it"
    close = get_close_matches(unknown, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "remove the key"


def _place(config_class: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The dotted key of pydantic's location, as it stands in the file, and the keys that are allowed beside it."""
    models: list[type[BaseModel]] = [config_class]
    key: list[str] = []
    for part in location[:-1]:
        tagged = [model for model in models if _has_tag(model, part)]
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if fields:
            models = [nested for annotation in fields for nested in _models_in(annotation)]
        elif tagged:
            # The tag of a union: it says which model is meant, and is no key of the file.
            models = tagged
            continue
        key.append(str(part))
    known = sorted({name for model in models for name in model.model_fields})
    return ".".join([*key, *map(str, location[-1:])]) or "(top)", known


def _has_tag(model: type[BaseModel], tag: int | str) -> bool:
    """Whether a discriminator (`type`, `kind`, `by`) of the model is the literal `tag`."""
    fields = model.model_fields
    return any(tag in get_args(fields[name].annotation) for name in ("type", "kind", "by") if name in fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def absolute(uri: str) -> str:
    """A local path made absolute, since Ray's workers start elsewhere; a URI with a scheme as it is."""
    return uri if "://" in uri else os.path.abspath(os.path.expanduser(uri))  # noqa: PTH100, PTH111 (a URI, no Path)
