"""What can be told of the log from where a command is submitted: its days, and whether some were written anew."""

from collections.abc import Callable, Sequence
from datetime import date
from threading import Thread
from typing import TypeVar

from pipeline.data import logs
from pipeline.data.log_listing import LogListing
from pipeline.runtime import files, fingerprint
from schemas.config import DataConfig
from schemas.errors import Refusal

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 30.0  # with a store that is not reached from here, which its client would try for minutes


def listing_of(data: DataConfig) -> LogListing | None:
    """The log's days; None where it cannot be read from here, which says nothing of the cluster."""
    try:
        files.require_usable(data.logs_uri, "data.logs_uri")
        return _within(PATIENCE_SECONDS, lambda: logs.look(data))
    except Exception as error:
        if isinstance(error, (Refusal, *files.errors())):
            return None
        raise


def state_of(listing: LogListing, days: Sequence[date]) -> str:
    """Changes when a file of these days is added, removed or written anew, or another in the folders of theirs."""
    folders = dict.fromkeys(place for day in days for place in listing.places_of(day))
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
