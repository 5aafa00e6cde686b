"""schemas/README.md: every key of a config, written from the JSON Schemas that editors read."""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

HEAD = """# Every key

Written from the models in this folder by `make schemas`; a test holds the two together. A config's keys are named as
`--set` takes them: `--set stages.fnn.epochs=2`; a spec's come after `data.features.`, where the config holds it and not
its path. An element of a list goes by its `name`, or by its position from 0. A mapping that may be one of several is
told by its `kind`, `type` or `by`. An unknown key is refused, with the one that was perhaps meant.

A relative path in a file is relative to that file's folder, `work_uri`'s default too; one that is typed, as by `--set`,
or stands in the environment, to where the command stands. `~` is your home.

With `# yaml-language-server: $schema=../../schemas/json/train_config.json` on top of a file an editor completes and
checks its keys; [jobs/configs](../jobs/configs) has files to copy.
"""
FILES = {
    "feature_spec.json": "The feature spec",
    "train_config.json": "The config",
    "sweep_config.json": "The sweep",
}
ELEMENTS = {"fields": "<field>", "stages": "<stage>", "space": "<key>"}  # what stands for one of several
TAGS = ("kind", "type", "by")
TABLE = ("| key | type | default | what it says |", "|---|---|---|---|")
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def page(schemas: dict[str, Schema]) -> str:
    """The page, from the name and contents of each JSON Schema."""
    parts = [HEAD]
    for name, title in FILES.items():
        parts += [f"## {title}", "", *_Keys(schemas[name]).section("", schemas[name])]
    return "\n".join(parts)


class _Keys:
    """The keys of one file. A mapping that may stand at several of them is described at the first one only."""

    def __init__(self, schema: Schema) -> None:
        self._mappings: dict[str, Schema] = schema.get("$defs", {})
        self._first_at: dict[str, str] = {"FeatureSpec": "the feature spec"} if "stages" in schema["properties"] else {}

    def section(self, key: str, mapping: Schema) -> Iterator[str]:
        """What a mapping is for, a table of its keys, and then the sections of the mappings in it."""
        yield from (" ".join(mapping["description"].split()), "", *TABLE)
        inner: list[tuple[str, str]] = []
        for name, value in mapping["properties"].items():
            path = f"{key}.{name}".removeprefix(".")
            cells = [f"`{path}`", self._words(value), self._default(value), value.get("description", "")]
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
            place = f"{path}.{ELEMENTS[name]}" if name in ELEMENTS else path
            inner += [(place, one) for one in self._named_in(value) if one not in self._first_at]
        self._first_at |= {name: f"`{place}`" for place, name in reversed(inner)}
        yield ""
        for place, name in inner:
            one = self._mappings[name]
            tags = [f", `{tag}: {one['properties'][tag]['const']}`" for tag in TAGS if tag in one["properties"]]
            yield from (f"### `{place}`{''.join(tags)}", "", *self.section(place, one))

    def _named_in(self, value: Schema) -> list[str]:
        """The mappings that a value may be, or hold several of."""
        nested = [
            *value.get("anyOf", ()),
            *value.get("oneOf", ()),
            value.get("items"),
            value.get("additionalProperties"),
        ]
        names = [value["$ref"].rpartition("/")[2]] if "$ref" in value else []
        names += [name for one in nested if one for name in self._named_in(one)]
        return [name for name in names if "properties" in self._mappings[name]]

    def _words(self, value: Schema) -> str:
        """A value's type, as one says it."""
        options = [*value.get("anyOf", ()), *value.get("oneOf", ())]
        if options:
            words = list(dict.fromkeys(self._words(one) for one in options if one.get("type") != "null"))
            return _either(words) + ", or none" * ({"type": "null"} in options)
        if "$ref" in value:
            names = self._named_in(value)
            return f"keys of {self._first_at.get(names[0], 'its own, below')}" if names else "any value"
        if "const" in value or "enum" in value:
            return _either([f"`{one}`" for one in value.get("enum", [value.get("const")])])
        if "prefixItems" in value:
            return f"two of: {self._words(value['prefixItems'][0])}"
        if "items" in value:
            return f"list of: {self._words(value['items'])}"
        if "additionalProperties" in value:
            return f"for each key: {self._words(value['additionalProperties'])}"
        bounds = [f"{word} {value[bound]:.10g}" for bound, word in BOUNDS.items() if bound in value]
        bounds += [f"matching `{value['pattern']}`"] if "pattern" in value else []
        name = "day, YYYY-MM-DD" if value.get("format") == "date" else TYPES[value["type"]]
        return f"{name} {' and '.join(bounds)}".rstrip()

    def _default(self, value: Schema) -> str:
        """A mapping's is what its own keys' defaults do not say already; "" where they say it all."""
        if "default" not in value:
            return "*required*"
        default = value["default"]
        if isinstance(default, dict):
            mappings = [self._mappings[name]["properties"] for name in self._named_in(value)]
            own = next(keys for keys in mappings if keys.keys() == default.keys())
            told = {key: one for key, one in default.items() if key in TAGS or one != own[key].get("default")}
            return f"`{{{', '.join(f'{key}: {_yaml(one)}' for key, one in told.items())}}}`" if told else ""
        return "none" if default is None else f"`{_yaml(default)}`"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[:-1] else words)


def _yaml(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value).strip('"')
