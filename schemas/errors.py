"""The exceptions that end in a message and not in a traceback."""

import sys
from datetime import datetime

INTERRUPTED = 130  # exit codes after Ctrl-C and after SIGTERM, as shells have them
TERMINATED = 143
MOST_CHARACTERS = 200  # of what others say, within a message


class Failure(RuntimeError):
    """What was begun could not be finished, said in words: the command line prints it and exits 1."""


class Stopped(Failure):
    """The day's data breaks its bounds, and nothing was trained on it: the command line prints this and exits 4."""


class Busy(RuntimeError):
    """Another process works on the same thing, here or on another host; nothing was begun. Times are in UTC."""

    def __init__(self, what: str, host: str, pid: int, since: datetime, expires: datetime) -> None:
        super().__init__(what, host, pid, since, expires)
        self.what = what
        self.host = host
        self.pid = pid
        self.since = since
        self.expires = expires

    def __str__(self) -> str:
        return (
            f"{self.what} is at work already: process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} "
            f"UTC. Wait for its end, or stop it; should it die, another may begin from {self.expires:%H:%M:%S} UTC on"
        )


class Refusal(ValueError):
    """Input was refused before it could cost anything: the command line prints this and exits 2.

    `where` is the file, column, day or config key; `remedy` is what the reader can do about it.
    """

    def __init__(self, *, found: str, expected: str, where: str, remedy: str) -> None:
        super().__init__(found, expected, where, remedy)
        self.found = found
        self.expected = expected
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """In four lines, whatever is quoted: a column's name may hold a line's end."""
        told = {"found": self.found, "expected": self.expected, "where": self.where, "remedy": self.remedy}
        return "\n".join(f"{name:<9} {' '.join(words.splitlines())}" for name, words in told.items())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.found, self.expected, self.where, self.remedy)


def _rebuild(found: str, expected: str, where: str, remedy: str) -> Refusal:
    """Keyword arguments do not survive the default pickling of exceptions between Ray processes."""
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)


def on_one_line(said: object, most: int | None = MOST_CHARACTERS) -> str:
    """The words of a text or an exception, at most so many characters; of an exception that says nothing, its class."""
    line = " ".join(str(said).split())[:most]
    return type(said).__name__ if isinstance(said, BaseException) and not line else line


def imported(*names: str) -> tuple[type[Exception], ...]:
    """Those of these exceptions, named `module:Class`, whose module is imported: no other can have been raised.

    To import MLflow, Ray or an object store's client only to catch what they raise takes seconds.
    """
    places = [name.split(":") for name in names]
    return tuple(getattr(sys.modules[module], kind) for module, kind in places if module in sys.modules)
