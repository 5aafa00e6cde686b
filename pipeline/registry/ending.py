"""How the runs of a piece of work end: finished, failed or killed, whatever ends the work."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pipeline.registry import server
from pipeline.registry.tags import NOTE

if TYPE_CHECKING:
    from pipeline.registry.client import Client

logger = logging.getLogger(__name__)


class Runs(Protocol):
    """A parent run and its children."""

    @property
    def client(self) -> "Client": ...

    @property
    def run_id(self) -> str: ...

    def end(self, status: str) -> None:
        """All that have not ended, the parent last."""


@contextmanager
def ending(runs: Runs) -> Iterator[None]:
    """End the runs: FINISHED at the end, FAILED on an exception, which becomes the description, KILLED on a signal."""
    try:
        with _sigterm_as_exception():
            yield
    except BaseException as error:
        _give_up(runs, error)
        raise
    runs.end("FINISHED")


def _give_up(runs: Runs, why: BaseException) -> None:
    """End after an exception, which MLflow's own must not replace."""
    try:
        with server.impatience():
            is_described = NOTE in runs.client.get_run(runs.run_id).data.tags
            if isinstance(why, Exception) and not is_described:
                runs.client.set_tag(runs.run_id, NOTE, server.first_line(why))
            runs.end("FAILED" if isinstance(why, Exception) else "KILLED")
    except Exception as error:
        logger.warning("MLflow still shows run %s as running: %s", runs.run_id, server.first_line(error))


@contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    """SIGTERM raises SystemExit, as SIGINT raises KeyboardInterrupt; only a main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(signal_number: int, frame: object) -> None:
        raise SystemExit(128 + signal_number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
