"""How far the stages are, told by rank 0 to the driver through one small Ray actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

import ray
from ray.actor import ActorHandle

POLL_SECONDS = 0.5


@ray.remote(num_cpus=0)
class Board:
    """The last step each stage has reported, in the order the stages began."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[int, int, float]] = {}

    def post(self, stage: str, step: int, num_steps: int, rows_per_second: float) -> None:
        self._steps[stage] = (step, num_steps, rows_per_second)

    def read(self) -> dict[str, tuple[int, int, float]]:
        return self._steps


@contextmanager
def watched(board: ActorHandle, show: Callable[[str, int, int, float], None]) -> Iterator[None]:
    """Call `show(stage, step, num_steps, rows_per_second)` with what has changed, while the body runs."""
    stopped = Flag()
    shown: dict[str, tuple[int, int, float]] = {}

    def poll() -> None:
        for stage, step in ray.get(board.read.remote()).items():
            if shown.get(stage) != step:
                shown[stage] = step
                show(stage, *step)

    def watch() -> None:
        while not stopped.wait(POLL_SECONDS):
            poll()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        stopped.set()
        thread.join()
        poll()
    finally:
        stopped.set()
