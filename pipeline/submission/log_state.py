"""What can be told of the log from where a command is submitted: its days, and whether some were written anew."""

from collections.abc import Callable, Sequence
from datetime import date
from threading import Thread
from typing import TypeVar

from pipeline.data import logs
from pipeline.runtime import files, fingerprint
from schemas.config import DataConfig
from schemas.errors import Refusal

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 30.0  # with a store that is not reached from here, which its client would try for minutes


def days_of(data: DataConfig) -> list[date] | None:
    """The log's days; None where it cannot be read from here, which says nothing of the cluster."""
    try:
        files.require_usable(data.logs_uri, "data.logs_uri")
        return _within(PATIENCE_SECONDS, lambda: logs.days_of(data.logs_uri, data.features))
    except Exception as error:
        if isinstance(error, (Refusal, *files.errors())):
            return None
        raise


def state_of(data: DataConfig, days: Sequence[date]) -> str:
    """Changes when a file of these days is added, removed or written anew."""
    folders = [f"{data.logs_uri}/{data.features.partition}={day}" for day in days]
    return fingerprint.digest(*(f"{folder} {one}" for folder in folders for one in files.listed(folder)))


def _within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Raises TimeoutError, an OSError, and lets the call go where it has no end."""
    answers: list[Answer] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(call())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]
