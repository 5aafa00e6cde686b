"""What was raised on another machine, without what Ray puts around it: of some, all that is left is a traceback."""

import re
from dataclasses import dataclass

from schemas.errors import on_one_line

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NODE = re.compile(r"\(pid=\d+, ip=([^,)\s]+)")
_NAMED = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?", re.DOTALL)
_OUTER = "\n\nThe above exception was the direct cause"
_OF_FILES = re.compile(
    r"OSError|(?:File|IsADirectory|NotADirectory|Permission|Timeout|Connection)\w*Error|botocore\..*"
)
_IN_WORDS = {"Failure", "Refusal", "Damaged"}


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, as the text of a task's traceback has it."""

    name: str
    words: str
    node: str
    """The address of the one where it was raised; empty where the text does not tell."""

    @classmethod
    def parse(cls, traceback: str) -> "Raised":
        """The innermost, which is the first; what it says stands after its last frame."""
        innermost = _COLOURS.sub("", traceback).partition(_OUTER)[0]
        lines = innermost.splitlines()
        frames = [place for place, line in enumerate(lines) if line.startswith(" ") or _NODE.search(line)]
        said = "\n".join(lines[max(frames, default=-1) + 1 :])
        named, node = _NAMED.match(said), _NODE.search(innermost)
        name, words = (named[1], named[2] or "") if named else ("", said)
        return cls(name, on_one_line(words, None), node[1] if node else "")

    @property
    def is_of_files(self) -> bool:
        return _OF_FILES.fullmatch(self.name) is not None

    @property
    def is_in_words(self) -> bool:
        """Of ours, and so for people."""
        return self.name.rpartition(".")[2] in _IN_WORDS

    def __str__(self) -> str:
        said = self.words if self.is_in_words else ": ".join(filter(None, [self.name, self.words]))
        return f"{said}, on the node {self.node}" if self.node else said


def in_a_line(error: BaseException) -> str:
    """Its name and its words, also of what a task or a rank has raised."""
    inner = getattr(error, "_base_exc", None) or error
    if _NODE.search(text := str(inner)):
        return str(Raised.parse(text))
    return f"{type(inner).__name__}: {on_one_line(text, None)}"
