"""Text without the secrets that it may hold, and the streams of a command, which let none through.

A secret is what stands before the last @ of a URI's word, the value of a query's key that is named like one, the value
of an environment variable that is named like one, and the password of a URI that this process was told of. Libraries
that take a URI apart print its pieces; those are secrets too, in the text that holds the URI.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast
from urllib.parse import quote, unquote

HIDDEN = "***"
MIN_CHARACTERS = 8  # of what is hidden wherever it stands: a shorter one occurs in words that are no secret
_NAMES = r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|(?:access|account|private)[_-]?key"
# Passwords that nobody has encoded hold @ and /, so that the user name and the password end at the word's last @.
_USER = re.compile(r'://([^\s"<]*)@')
_KEYS = re.compile(
    rf"([?&;#](?:x-(?:amz|goog|ms)-[\w-]+|[\w.-]*(?:{_NAMES}|credential)[\w-]*|awsaccesskeyid|signature|sig|auth|pass|key)=)"
    r"""(?:[^&\s"'<]|'(?=[^\s"',;)\]}]))+""",
    re.IGNORECASE,
)
_VARIABLES = re.compile(rf"(?:{_NAMES}|connection_string)(?!.*_(?:file|path|dir|id|uri|url)$)", re.IGNORECASE)
_FOLDERS = {"PWD", "OLDPWD"}  # of the shell: where it stands and stood
_SIGNS = re.compile("[/?#@]")

_told: set[str] = set()


def redacted(text: str) -> str:
    """The text with *** in the place of each secret; the same again where there is none left."""
    secrets = {*_told, *_of_environment(), *(piece for user in _USER.findall(text) for piece in _pieces(user))}
    text = _USER.sub(_without_user, _KEYS.sub(rf"\1{HIDDEN}", text))  # in this order: an @ of a key's ends no user
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def redacted_tree(tree: Any) -> Any:
    """Mappings and lists of strings and other values, each string redacted by itself."""
    if isinstance(tree, dict):
        return {key: redacted_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [redacted_tree(value) for value in tree]
    return redacted(tree) if isinstance(tree, str) else tree


def remember(tree: Any) -> None:
    """Hide the passwords of all URIs of a tree, or of one, from now on wherever they stand, without the URI too."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    for one in tree if isinstance(tree, list | tuple) else []:
        remember(one)
    if isinstance(tree, str):
        user, at, _ = tree.partition("://")[2].rpartition("@")
        _told.update(_pieces(user) if at else ())


@contextmanager
def redacted_streams() -> Iterator[None]:
    """Within, what this process writes to stdout and stderr is redacted, whoever writes it.

    After an exception they stay so: Python has its traceback still to print.
    """
    before = sys.stdout, sys.stderr
    ours = _Stream(before[0]), _Stream(before[1])
    sys.stdout, sys.stderr = cast(tuple[TextIO, TextIO], ours)
    try:
        yield
    finally:
        if not isinstance(sys.exc_info()[1], Exception):
            for stream in ours:
                stream.flush()
            sys.stdout, sys.stderr = before


class _Stream:
    """A text stream that is written to a line at a time, or up to where it is flushed; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            lines, newline, self._line = (self._line + text).rpartition("\n")
            if newline:
                self._stream.write(redacted(lines + newline))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._lock:
            line, self._line = self._line, ""
            if line:
                self._stream.write(redacted(line))
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _without_user(found: re.Match[str]) -> str:
    """Where there is no colon, an @ after the first / is one of a path."""
    before = found[1]
    return f"://{HIDDEN}@" if ":" in before or not re.search("[/?#]", before) else found[0]


def _pieces(user: str) -> Iterator[str]:
    """The password as it is and decoded, and what is made of it where it is not encoded and its signs part it."""
    password = user.partition(":")[2]
    for secret in (password, unquote(password), *_SIGNS.split(user), *_SIGNS.split(password)):
        # Of letters alone it may be a word that text holds anyway.
        if _is_long(secret) and not secret.isalpha() and password:
            yield secret


def _of_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if _is_long(value) and _VARIABLES.search(name) and name not in _FOLDERS:
            yield from (value, quote(value, safe=""))


def _is_long(secret: str) -> bool:
    return len(secret) >= MIN_CHARACTERS and HIDDEN not in secret
