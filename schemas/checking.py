"""From a tree of keys and values to a checked config, or a refusal that names the place and the remedy."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import Refusal, on_one_line

Config = TypeVar("Config", bound=BaseModel)
RENAMED = {  # keys that configs had before
    "rows": ("embedding", "rename it"),
    "last_days": ("days", "for last_days: 7 write days: {last: 7}"),
}
BY_HAND = {"is_written_by_hand": True}
"""The context in which a config is checked that a person has written: names that are ours are refused."""


def validate(
    config_class: type[Config], tree: Mapping[str, Any], where: str, context: Mapping[str, Any] | None = None
) -> Config:
    """The config, or a Refusal that names the first thing wrong; validators see the `context`."""
    try:
        return config_class.model_validate(tree, context=context)
    except ValidationError as error:
        # An unknown key often causes the errors beside it (its right spelling is then missing): name it first.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise _refusal(config_class, details[0], len(details), where) from error


def derived(config: Config, **changes: Any) -> Config:
    """The config with other values of some keys, checked as if it had been written so; Refusal where it would not hold.

    What nobody has set stays so, and has its default. Pydantic's own `model_copy(update=...)` checks nothing.
    """
    own = {key: value for key, value in config if key in config.model_fields_set}
    return validate(type(config), {**own, **changes}, f"a {type(config).__name__} made from the config's")


def _refusal(config_class: type[BaseModel], detail: ErrorDetails, num_errors: int, where: str) -> Refusal:
    is_unknown = detail["type"] == "extra_forbidden"
    key, known = _place(config_class, detail["loc"][:-1] if is_unknown else detail["loc"])
    own = detail.get("ctx", {}).get("error")
    if isinstance(own, Refusal):  # a validator's, in its own words; where within what it has checked, or in all
        within = [own.where] if own.where.partition(".")[0] in key[:1] else [*key, own.where]
        return Refusal(found=own.found, expected=own.expected, where=f"{where}: {'.'.join(within)}", remedy=own.remedy)
    more = f" (and {num_errors - 1} more)" if num_errors > 1 else ""
    if is_unknown:
        name = str(detail["loc"][-1])
        return Refusal(
            found=f"unknown key {name!r}{more}",
            expected=f"one of {', '.join(known)}",
            where=f"{where}: {'.'.join([*key, name])}",
            remedy=_instead_of(name, known),
        )
    place = f"{where}: {'.'.join(key) or '(top)'}"
    value = detail.get("input")
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
        context = detail["ctx"]
        tag = context["discriminator"].strip("'()_")
        return Refusal(
            found=f"{tag}: {context['tag']}" if "tag" in context else f"no key {tag!r}",
            expected=f"{tag} to be one of {context['expected_tags']}" if "tag" in context else f"a key {tag!r}",
            where=place,
            remedy="the configs in jobs/configs have one of each",
        )
    is_no_mapping = detail["type"] in ("model_type", "model_attributes_type", "dict_type")
    found = (
        "nothing" if detail["type"] == "missing" else repr(value) if not isinstance(value, dict) else _in_words(value)
    )
    return Refusal(
        found=found[:200] + more,
        expected="a mapping of keys to values" if is_no_mapping else detail["msg"].removeprefix("Value error, "),
        where=place,
        remedy="correct the value; the JSON Schemas in schemas/json describe every key to your editor",
    )


def _in_words(tree: Mapping[str, Any]) -> str:
    """On one line, about as it stands in the file."""
    return (
        f"{{{on_one_line(', '.join(f'{key}: {value}' for key, value in tree.items()), None)}}}" if tree else "no keys"
    )


def _instead_of(unknown: str, known: Sequence[str]) -> str:
    now, how = RENAMED.get(unknown, ("", ""))
    if now in known:
        return f"the key is called {now!r} now: {how}"
    close = get_close_matches(unknown, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "remove the key"


def _place(config_class: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Pydantic's location as keys of the file, and the keys that are allowed within the last one."""
    models: list[type[BaseModel]] = [config_class]
    tags: set[str] = set()
    key: list[str] = []
    for part in location:
        if part in tags:  # it says which type of a union is meant, and is no key of the file
            tags = set()
            continue
        tagged = [model for model in models if _has_tag(model, part)]
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if fields:
            models = [nested for annotation in fields for nested in models_in(annotation)]
            tags = {tag for annotation in fields for tag in _tags_in(annotation)}
        elif tagged:  # so does a discriminator of its own
            models = tagged
            continue
        key.append(str(part))
    known = sorted({name for model in models for name in model.model_fields})
    return key, known


def _has_tag(model: type[BaseModel], tag: int | str) -> bool:
    """Whether a discriminator (`type`, `kind`, `by`) of the model is the literal `tag`."""
    fields = model.model_fields
    return any(tag in get_args(fields[name].annotation) for name in ("type", "kind", "by") if name in fields)


def _tags_in(annotation: Any) -> Iterator[str]:
    for argument in get_args(annotation):
        if isinstance(argument, Tag):
            yield argument.tag
        yield from _tags_in(argument)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
