"""Work done ahead, by a thread."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Iterator[T], Generic[T]):
    """The same items, prepared up to `depth` ahead by a thread that starts at once; what it raises is raised here."""

    def __init__(self, items: Iterable[T], depth: int = 4) -> None:
        self._ready: Queue[tuple[list[T], BaseException | None]] = Queue(depth)
        self._depth, self._num_taken = depth, 0
        self._last: int | None = None  # how many the thread is to make, where it is to end before they do
        self._is_closed = Event()
        self._thread = Thread(target=self._prepare, args=(items,), daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._is_closed.is_set():
            raise StopIteration
        items, error = self._ready.get()
        if error is None:
            self._num_taken += 1
            return items[0]
        self._is_closed.set()
        raise error

    def close(self) -> None:
        """Wait for the thread to end, which makes no more than the item that it is at."""
        self._is_closed.set()
        while self._thread.is_alive():
            with suppress(Empty):
                self._ready.get(timeout=0.01)

    def finish(self) -> None:
        """Wait for the thread to end where those of all ranks do that have taken as many: at the farthest it may be.

        Ranks that make their items together then have made as many, and none waits for another.
        """
        self._last = self._num_taken + self._depth + 1
        deque(self, maxlen=0)
        self._thread.join()

    def _prepare(self, items: Iterable[T]) -> None:
        try:
            for number, item in enumerate(items, 1):
                self._ready.put(([item], None))
                if self._is_closed.is_set():
                    return
                if self._last is not None and number >= self._last:
                    break
            self._ready.put(([], StopIteration()))
        except BaseException as error:
            self._ready.put(([], error))
