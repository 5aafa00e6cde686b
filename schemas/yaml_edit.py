"""A YAML file with other values in some places: comments, order, quotes and anchors of all else stay what they are."""

import copy
import io
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from schemas.yaml_text import parse

MOST_PASSES = 3  # what is changed where a merge takes it from, has to be put back where that brings it in


def edited(text: str, wanted: Any) -> str | None:
    """The text of a mapping, changed to read as `wanted`, a tree like its own; None: it cannot be.

    One place alone is changed, also where an alias repeats it at others.
    """
    for _ in range(MOST_PASSES):
        now = parse(text, "the text", "")
        if now == wanted:
            return text
        try:
            text = _patched(text, now, wanted)
        except (YAMLError, KeyError, AttributeError, TypeError, ValueError):  # of what YAML 1.2 reads otherwise
            return None
    return text if parse(text, "the text", "") == wanted else None


def _patched(text: str, now: Any, wanted: Any) -> str:
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16  # break no line that was not broken
    tree = editor.load(text)
    editor.indent(*_indents(tree))
    _Edit(tree).patch(tree, now, wanted)
    stream = io.StringIO()
    editor.dump(tree, stream)
    return stream.getvalue()


def _indents(tree: Any) -> tuple[int, int, int]:
    """Of mappings, of lists, and of the dash within these, as the file's first ones have them."""
    maps, lists = [2], [0]
    for value in tree.values():
        if isinstance(value, CommentedMap | CommentedSeq) and value and not value.fa.flow_style():
            (maps if isinstance(value, CommentedMap) else lists).append(value.lc.col)
    dash = max(lists[-1], 0)
    return max(maps[-1], 1), dash + 2, dash


_ABSENT = object()


class _Edit:
    def __init__(self, tree: Any) -> None:
        nodes = list(_containers(tree, set()))
        self._uses = Counter(map(id, nodes))
        for node in nodes:
            for key in [key for key in node.ca.items if isinstance(node, CommentedMap) and _is_repeated(node, key)]:
                del node.ca.items[key]  # the reader repeats the comment of the anchor's place as well

    def patch(self, node: Any, base: Any, wanted: Any) -> None:
        """Change what of the node is otherwise; its own children are changed in place, shared ones become its own."""
        if isinstance(wanted, list):
            for index, (before, after) in enumerate(zip(base, wanted, strict=True)):
                self._set(node, index, before, after)
            return
        for key in [key for key in base if key not in wanted]:
            del node[key]
        for key, after in wanted.items():
            self._set(node, key, base.get(key, _ABSENT), after)

    def _set(self, node: Any, key: Any, before: Any, after: Any) -> None:
        if before == after and type(before) is type(after):
            return
        is_alike = isinstance(before, dict) and isinstance(after, dict)
        is_alike |= isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
        if not is_alike:
            _put(node, key, _as_node(after))
            return
        if self._uses[id(node[key])] > 1:
            self._unshare(node, key)
        self.patch(node[key], before, after)

    def _unshare(self, node: Any, key: Any) -> None:
        """Give the node a value of its own. Comments stay at the place that the anchor was at."""
        shared = node[key]
        own = _without_anchors(copy.deepcopy(shared))
        _drop_comments(own if _is_repeated(node, key) else shared)
        if isinstance(node, CommentedSeq) or key in node.lc.data:
            node[key] = own
        else:
            _put(node, key, own)


def _put(node: Any, key: Any, value: Any) -> None:
    """In its place; of a key that a merge has brought in, or that is new, as the last.

    Blank lines and comments that came after the old value, or the mapping, still do.
    """
    if isinstance(node, CommentedSeq) or key in node.lc.data:
        tail = _take_tail(node, key)
        node[key] = value
    else:
        tail = _take_tail(node, list(node.lc.data)[-1]) if node.lc.data and not node.fa.flow_style() else None
        node[key] = value
        node.lc.add_kv_line_col(key, [0, 0, 0, 0])
    if tail:
        owner, at, place = _last_leaf(node, key)
        tokens = owner.ca.items.setdefault(at, [None] * 4)
        if tokens[place] is None:
            tokens[place] = tail
        else:
            tokens[place].value += tail.value.removeprefix("\n")


def _take_tail(node: Any, key: Any) -> Any:
    """What follows the line that a value ends on."""
    owner, at, place = _last_leaf(node, key)
    token = (owner.ca.items.get(at) or [None] * 4)[place]
    if token is None or not token.value.partition("\n")[2]:
        return None
    first, _, rest = token.value.partition("\n")
    tail = copy.copy(token)
    tail.value = f"\n{rest}"
    token.value = f"{first}\n"
    if not first:
        owner.ca.items[at][place] = None
    return tail


def _last_leaf(node: Any, key: Any) -> tuple[Any, Any, int]:
    """Whose last key or element a value ends with, and where comments after it are kept."""
    while True:
        place = 2 if isinstance(node, CommentedMap) else 0
        below = node[key]
        if not isinstance(below, CommentedMap | CommentedSeq) or not below or below.fa.flow_style():
            return node, key, place
        node, key = below, list(below.lc.data)[-1]


def _is_repeated(node: Any, key: Any) -> bool:
    """Whether an alias, or a merge, stands for the value there; of a list that is not known."""
    place = node.lc.data.get(key, (1, 0, 0, 0))
    return len(place) == 4 and bool(place[2] < place[0])  # its line, and that of its key


def _containers(node: Any, seen: set[int]) -> Iterator[Any]:
    """Each mapping and list as often as something holds it."""
    if not isinstance(node, CommentedMap | CommentedSeq):
        return
    yield node
    if id(node) not in seen:
        seen.add(id(node))
        for child in _children(node):  # those that a merge key brings in are another mapping's, too
            yield from _containers(child, seen)


def _children(node: CommentedMap | CommentedSeq) -> Iterator[Any]:
    return iter(node.values() if isinstance(node, CommentedMap) else node)


def _without_anchors(node: Any) -> Any:
    if isinstance(node, CommentedMap | CommentedSeq):
        node.yaml_set_anchor(None)
        for child in _children(node):
            _without_anchors(child)
    return node


def _drop_comments(node: Any) -> None:
    if isinstance(node, CommentedMap | CommentedSeq):
        node.ca.comment, node.ca.end = None, []
        node.ca.items.clear()
        for child in _children(node):
            _drop_comments(child)


def _as_node(value: Any) -> Any:
    """As the file's reader takes it, which is no editor's: 1e-05 is text there, and off is false."""
    editor = YAML()
    editor.preserve_quotes = True
    flow = isinstance(value, list) or (
        isinstance(value, dict) and not any(isinstance(one, dict) for one in value.values())
    )
    return editor.load(yaml.safe_dump(value, default_flow_style=flow, width=math.inf, sort_keys=False))
