"""What `--set a.b=c` changes of a config's tree of keys and values, before it is checked."""

import re
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.checking import models_in
from schemas.errors import Refusal
from schemas.locations import Location
from schemas.yaml_text import MAX_DEPTH, parse

Tree = dict[str, Any] | list[Any]
Place = tuple[str | int, ...]


def override(tree: dict[str, Any], config_class: type[BaseModel], overrides: Sequence[str]) -> None:
    """Put the values of `a.b=c` where they belong, in order; the value is YAML.

    One that chooses another kind of object (`data.split.by`, `type` of a schedule or an encoder, `last` or `before` of
    days) removes what the file has of the old kind and the new one does not know. What was typed stays, to be refused.
    """
    typed: set[Place] = set()
    for words in overrides:
        _put(tree, config_class, words, typed)


def _put(tree: dict[str, Any], config_class: type[BaseModel], words: str, typed: set[Place]) -> None:
    key, equals, text = words.partition("=")
    *parents, last = parts = key.split(".")
    where = f"--set {words if words.isprintable() else repr(words)}"
    if not equals or not all(parts) or not key.isprintable() or len(parts) > MAX_DEPTH:
        raise Refusal(
            found=repr(words),
            expected="a.b=c, each name between dots a key of the config",
            where="--set",
            remedy="for example --set cluster.num_workers=2",
        )
    node: Tree = tree
    models: list[type[BaseModel]] = [config_class]
    place: Place = ()
    for part in parents:
        key_of = _index(node, part, where) if isinstance(node, list) else part
        fields = [one.model_fields[part] for one in models if part in one.model_fields]
        if isinstance(node, dict):  # what a list holds is of the models that stand at the list itself
            models = [one for field in fields for one in models_in(field.annotation)]
        node, place = _child(node, key_of, fields, where), (*place, key_of)
    value = parse(text, where, "write a value as YAML has it, in quotes where it is text", is_file=False)
    if isinstance(node, list):
        node[_index(node, last, where)] = value
        return
    for gone in [one for one in _of_another_kind(node, models, last, value) if (*place, one) not in typed]:
        del node[gone]
    node[last] = value
    typed.add((*place, last))


def _of_another_kind(node: dict[str, Any], models: Sequence[type[BaseModel]], key: str, value: object) -> list[str]:
    """What of an object has no place in it any more, once its `key` holds the `value`."""
    if any(key in model.model_fields and is_one_of(model) for model in models):
        return [one for one in node if one != key]
    chosen = [one for one in models if key in one.model_fields and value in get_args(one.model_fields[key].annotation)]
    if not chosen or len(models) == 1:
        return []
    of_any = {name for model in models for name in model.model_fields} - {key}
    return [name for name in node if name in of_any and not _fits(node[name], name, chosen)]


def _fits(value: object, name: str, models: Sequence[type[BaseModel]]) -> bool:
    """Whether one of the models has a field of that name that an object of the value's kind may stand in."""
    inner = [list(models_in(one.model_fields[name].annotation)) for one in models if name in one.model_fields]
    if not isinstance(value, dict):
        return bool(inner)
    return any(not kinds or any(_is_of(value, kind) for kind in kinds) for kinds in inner)


def _is_of(value: dict[str, Any], model: type[BaseModel]) -> bool:
    """Whether the discriminators among its keys are the model's, each of which allows one word."""
    words = {name: get_args(field.annotation) for name, field in model.model_fields.items() if name in value}
    return all(value[name] == allowed[0] for name, allowed in words.items() if [type(one) for one in allowed] == [str])


def is_one_of(model: type[BaseModel]) -> bool:
    """Whether its objects hold exactly one of its keys, as `days: {last: 7}` does."""
    extra = model.model_config.get("json_schema_extra")
    return isinstance(extra, dict) and extra.get("maxProperties") == 1


def _child(node: Tree, key: str | int, fields: Sequence[FieldInfo], where: str) -> Tree:
    """The mapping or list at a key or element; a mapping is put where nothing is yet, or a value that may be one."""
    inside: Any = node  # whose keys these are: an index of a list, a name of a mapping
    child = inside[key] if isinstance(node, list) else inside.get(key)
    is_plain = child is not None and not isinstance(child, dict | list)
    if child is None or (is_plain and any(_may_be_either(field) for field in fields)):
        child = inside[key] = {}
    if not isinstance(child, dict | list):
        raise Refusal(
            found=f"{str(key)!r} holds {child!r}, which has no keys",
            expected="a key of a mapping or an element of a list",
            where=where,
            remedy="it is the path of a file: change the key there"
            if any(isinstance(one, Location) for field in fields for one in field.metadata)
            else "name the key as it stands in the config",
        )
    return child


def _may_be_either(field: FieldInfo) -> bool:
    """Whether both an object and a plain value may stand there, as in `days: all`; the path of a file is no value."""
    are_models = {isinstance(one, type) and issubclass(one, BaseModel) for one in _choices(field.annotation)}
    return len(are_models) == 2 and not any(isinstance(one, Location) for one in field.metadata)


def _choices(annotation: Any) -> Iterator[Any]:
    """The types of a union, but for None."""
    if get_origin(annotation) is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _choices(one)
    elif annotation is not NoneType:
        yield annotation


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
