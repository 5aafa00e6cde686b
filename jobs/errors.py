"""What the reader of a terminal is told of an exception: words and an exit code, or nothing where it is a bug."""

from pipeline.registry import server
from pipeline.runtime import files
from pipeline.runtime.raised import Raised
from schemas.errors import Busy, Failure, Refusal, Stopped, imported, on_one_line
from schemas.redaction import redacted

GOES_ON = "the same command goes on from here"


def exit_code(error: Exception) -> int:
    """1 failed, 2 refused, 3 busy, 4 stopped by the day's data."""
    if isinstance(error, Refusal):
        return 2
    if isinstance(error, Busy):
        return 3
    return 4 if isinstance(error, Stopped) else 1


def in_words(error: Exception) -> str | None:
    """What it says, and what was noted on its way. No words hold a user's name, a password or a key.

    None for a bug, of which the traceback tells more.
    """
    words = _of(error)
    return words and "\n".join([words, *map(redacted, getattr(error, "__notes__", ()))])


def _of(error: Exception) -> str | None:
    if isinstance(error, Refusal | Busy | Failure):
        return redacted(str(error))
    if isinstance(error, imported("ray.exceptions:RayTaskError")):
        return _of_task(error)
    if isinstance(error, server.errors()):
        return _of_mlflow(error)
    if isinstance(error, files.errors()):
        return _of_files(error)
    if isinstance(error, imported("ray.exceptions:RayError")):
        return f"Ray has lost a part of the work: {server.first_line(error)}; {GOES_ON}"
    return None


def _of_task(error: Exception) -> str | None:
    """Its own text is the task's traceback, though it is of its cause's class too."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception) and not isinstance(cause, imported("ray.exceptions:UserCodeException")):
        return _of(cause)
    raised = Raised.parse(str(error))  # of what Ray Data's tasks raise it keeps nothing but the text
    if raised.is_of_files:
        return _files(str(raised))
    return redacted(str(raised)) if raised.is_in_words else None


def _of_mlflow(error: Exception) -> str:
    root = server.root_of(error)
    if isinstance(root, OSError) and root.filename:  # in what MLflow does on this machine before it sends anything
        return _of_files(root)
    uri, found = redacted(server.opened()), server.first_line(root)
    remedy = server.remedy_of(found)
    return f"MLflow at {uri} does not take what it is sent: {found}; {f'{remedy}; ' * bool(remedy)}{GOES_ON}"


def _of_files(error: Exception) -> str:
    return _files(on_one_line(error, None))


def _files(words: str) -> str:
    remedy = files.remedy_of(words)
    return f"files cannot be read or written: {redacted(words)}; {f'{remedy}; ' * bool(remedy)}{GOES_ON}"
