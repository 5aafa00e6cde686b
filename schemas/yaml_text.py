"""YAML text to a tree of values in which no two places share an object, or a refusal that names the line."""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from schemas.errors import Refusal, on_one_line

MAX_DEPTH = 32  # of mappings and lists inside one another; a config needs seven, and Python's stack holds some 100
MAX_REPEATED = 100_000  # values that aliases stand for in all: a kilobyte of them can mean more than memory holds
MAX_BITS = 1023  # of a whole number: more would be too large for a float too


def parse(text: str, where: str, remedy: str, *, is_file: bool = True) -> Any:
    """The value of a YAML document; `where` is the file, whose line a refusal adds, or what else holds the text."""
    line = 1
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            line += loader.line
            loader.dispose()
    except ReaderError as error:
        found, line = f"the character {chr(error.character)!r}", text.count("\n", 0, error.position) + 1
        cause: Exception = error
    except yaml.MarkedYAMLError as error:
        found, cause = on_one_line(error.problem or error, None), error
        line = error.problem_mark.line + 1 if error.problem_mark else line
    except (ArithmeticError, ValueError) as error:  # of the scanner, which takes "\\U00110000" for a character
        found, cause = f"what YAML cannot read: {error}", error
    raise Refusal(
        found=found,
        expected="valid YAML in which every key stands once",
        where=f"{where}, line {line}" if is_file else where,
        remedy=remedy,
    ) from cause


class _Loader(yaml.SafeLoader):
    """Each alias is a value of its own, no key stands twice, and what YAML cannot make a value of names its line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._around: list[str | None] = []  # anchors of the nodes that are being read, or None
        self._num_repeated = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._around:
                raise _error(f"alias *{event.anchor} inside what it repeats", event)
            return self._copy(super().compose_node(parent, index), len(self._around), event)
        self._check_depth(len(self._around), event)
        self._around.append(event.anchor)
        node = super().compose_node(parent, index)
        self._around.pop()
        return node

    def _copy(self, node: Any, depth: int, alias: yaml.AliasEvent) -> yaml.Node:
        """The node as often as it is named: of one node the constructor would make one object, shared by all places."""
        self._check_depth(depth, alias)
        self._num_repeated += 1
        if self._num_repeated > MAX_REPEATED:
            raise _error(f"aliases that repeat more than {MAX_REPEATED:,} values", alias)
        if isinstance(node, yaml.SequenceNode):
            value: Any = [self._copy(element, depth + 1, alias) for element in node.value]
        elif isinstance(node, yaml.MappingNode):
            value = [tuple(self._copy(part, depth + 1, alias) for part in pair) for pair in node.value]
        else:
            value = node.value
        copy: yaml.Node = type(node)(node.tag, value, node.start_mark, node.end_mark)
        return copy

    def _check_depth(self, depth: int, event: yaml.Event) -> None:
        if depth > MAX_DEPTH:
            raise _error(f"values more than {MAX_DEPTH} deep inside one another", event)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):  # `!!map [a]` is none
            raise _error("what is tagged as a mapping and is none", node)
        seen: set[object] = set()
        for key_node, value_node in node.value:
            is_merge = key_node.tag == "tag:yaml.org,2002:merge"
            if is_merge:
                self.construct_object(value_node, deep=True)  # no mapping comes of it, but its keys are looked at
            key = key_node.value if is_merge else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _error(f"a {type(key).__name__} as a key", key_node)
            if key in seen:
                raise _error(f"key {key!r} stands twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # half of a surrogate pair, which "\uD800" would be, is no text
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise ValueError(f"a whole number of {value.bit_length():,} bits")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # PyYAML's constructors trust the resolver's pattern or the tag, and fail in ways of their own.
            kind, text = node.tag.rpartition(":")[2], str(node.value)[:80]
            raise _error(f"{text!r}, which is no {kind}: {error}", node) from error
        return value


def _error(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return ConstructorError(None, None, problem, place.start_mark)
