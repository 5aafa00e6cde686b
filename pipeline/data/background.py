"""Work done ahead, by a thread."""

from collections.abc import Iterable, Iterator
from queue import Queue
from threading import Thread
from typing import TypeVar, cast

T = TypeVar("T")


def in_background(items: Iterable[T], depth: int = 4) -> Iterator[T]:
    """The same items, prepared up to `depth` ahead by a thread that starts at once; what it raises is raised here."""
    ready: Queue[tuple[T | None, BaseException | None]] = Queue(depth)

    def prepare() -> None:
        try:
            for item in items:
                ready.put((item, None))
            ready.put((None, StopIteration()))
        except BaseException as error:
            ready.put((None, error))

    def take() -> Iterator[T]:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield cast(T, item)

    Thread(target=prepare, daemon=True).start()
    return take()
