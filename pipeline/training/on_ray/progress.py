"""How far the stages are, told by rank 0 to the driver through one small Ray actor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread

import ray
from ray.actor import ActorHandle

from pipeline.runtime.progress import RATE, Point, Report

POLL_SECONDS = 0.5


class Board:
    """The last point of each stage's curve, in the order the stages began."""

    def __init__(self) -> None:
        self._points: dict[str, Point] = {}

    def post(self, point: Point) -> None:
        self._points[point.stage] = point

    def read(self) -> "dict[str, Point]":
        return self._points


@dataclass(frozen=True)
class Posting:
    """What rank 0 reports to: the run's log and, without waiting for an answer, the board."""

    log: Report
    board: ActorHandle

    def __call__(self, point: Point) -> None:
        self.log(point)
        if RATE in point.metrics:
            self.board.post.remote(point)


@contextmanager
def watched(board: ActorHandle, show: Report) -> Iterator[None]:
    """Call `show` with what has come to the board, while the body runs."""
    stopped = Flag()
    shown: dict[str, Point] = {}

    def poll() -> None:
        points: dict[str, Point] = ray.get(board.read.remote())
        for stage, point in points.items():
            if shown.get(stage) != point:
                shown[stage] = point
                show(point)

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
