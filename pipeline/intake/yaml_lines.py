"""Lines of YAML as people write them: comments that fit, values on one line, quotes where YAML needs them."""

import json
import re
import textwrap
from typing import Any

import yaml

WIDTH = 120
PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
PLAIN_PLACE = re.compile(r"[A-Za-z0-9_./][\w./=+-]*(:/)?[\w./=+-]*", re.ASCII)


def comment(words: str, indent: int = 0) -> list[str]:
    """The words as lines of a comment, broken where they are too long."""
    start = f"{' ' * indent}# "
    return textwrap.wrap(
        words, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def flow(value: Any) -> str:
    """A value in YAML, on one line, as people write it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return plain(value) if isinstance(value, str) else json.dumps(value)


def plain(word: str) -> str:
    """A text in YAML: as it is, where YAML reads that as text, else in quotes."""
    return word if PLAIN.fullmatch(word) and _is_read_as_it_is(word) else json.dumps(word)


def place(name: str) -> str:
    """A path, a URI or a timezone in YAML."""
    return name if PLAIN_PLACE.fullmatch(name) and _is_read_as_it_is(name) else json.dumps(name)


def _is_read_as_it_is(word: str) -> bool:
    try:
        return bool(yaml.safe_load(word) == word) and word not in ("y", "n", "Y", "N")
    except (ValueError, yaml.YAMLError):  # such as 2026-02-31, which looks like a date
        return False
