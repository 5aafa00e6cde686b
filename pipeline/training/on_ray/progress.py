"""How far the stages are, told by rank 0 to the driver through one small Ray actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread

import ray
from ray.actor import ActorHandle

POLL_SECONDS = 0.5
Standing = tuple[int, int, float]  # step, steps in all, rows/s


class Board:
    """The last step each stage has reported, in the order the stages began."""

    def __init__(self) -> None:
        self._steps: dict[str, Standing] = {}

    def post(self, stage: str, step: int, num_steps: int, rows_per_second: float) -> None:
        self._steps[stage] = (step, num_steps, rows_per_second)

    def read(self) -> "dict[str, Standing]":
        return self._steps


@dataclass(frozen=True)
class Announce:
    """What rank 0 tells the board with; it does not wait for an answer."""

    board: ActorHandle

    def __call__(self, stage: str, step: int, num_steps: int, rows_per_second: float) -> None:
        self.board.post.remote(stage, step, num_steps, rows_per_second)


@contextmanager
def watched(board: ActorHandle, show: Callable[[str, int, int, float], None]) -> Iterator[None]:
    """Call `show(stage, step, num_steps, rows_per_second)` with what has changed, while the body runs."""
    stopped = Flag()
    shown: dict[str, Standing] = {}

    def poll() -> None:
        standings: dict[str, Standing] = ray.get(board.read.remote())
        for stage, standing in standings.items():
            if shown.get(stage) != standing:
                shown[stage] = standing
                show(stage, *standing)

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
