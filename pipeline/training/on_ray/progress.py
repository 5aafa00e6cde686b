"""How far the stages are, and what keeps the ranks waiting, told to the driver through one small Ray actor."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread, Timer

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.runtime.progress import Note, Point, Report

POLL_SECONDS = 0.5
TELL_AFTER_SECONDS = 1.0
ANSWER_SECONDS = 10.0


class Board:
    """The points of the stages' curves, as they came; notes; which ranks wait for rows."""

    def __init__(self, max_failures: int) -> None:
        self._max_failures = max_failures
        self._points: list[Point] = []
        self._notes: list[Note] = []
        self._waiting: dict[int, float] = {}
        self._num_ranks = 0
        self._failure: int | None = None

    def post(self, point: Point) -> None:
        self._points.append(point)

    def say(self, title: str, words: str) -> None:
        self._notes.append(Note(title, words))

    def lose(self, failure: int) -> None:
        """A rank was lost or has failed, for the so manieth time: others begin soon in the place of all."""
        self._failure = failure

    def begin(self, num_ranks: int) -> None:
        """So many ranks begin, in the place of those before, if there were any."""
        self._waiting.clear()
        before, self._num_ranks = self._num_ranks, num_ranks
        failure, self._failure = self._failure, None
        if before:
            attempt = f"attempt {failure + 1} of {self._max_failures + 1}" if failure else ""
            who = "1 rank goes" if num_ranks == 1 else f"{num_ranks} ranks go"
            self.say(
                f"a worker was lost, {attempt}" if attempt else "the ranks move",
                f"{who} on from the last checkpoint{f', {before} before' if before != num_ranks else ''}",
            )

    def wait_for_rows(self, rank: int, seconds: float = 0.0) -> None:
        """The rank waits, and has done so for these seconds."""
        self._waiting[rank] = time.monotonic() - seconds

    def take_rows(self, rank: int) -> None:
        self._waiting.pop(rank, None)

    def seconds_without_rows(self) -> float:
        """Of the rank that has waited for longest; 0 where none waits."""
        return time.monotonic() - min(self._waiting.values()) if self._waiting else 0.0

    def read(self, num_points: int, num_notes: int) -> tuple[list[Point], list[Note]]:
        """What has come after so many of each."""
        return self._points[num_points:], self._notes[num_notes:]


Say = Callable[[Note], None]


@dataclass(frozen=True)
class Posting:
    """What rank 0 reports to: what is to hear of it in its own process, then, without waiting for it, the board."""

    here: Report
    board: ActorHandle

    def __call__(self, point: Point) -> None:
        self.here(point)
        self.board.post.remote(point)


def open_board(max_failures: int) -> ActorHandle:
    """On this node, whose loss would end the command in any case: no other node's takes it away."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0)(Board).options(scheduling_strategy=here).remote(max_failures)


@contextmanager
def waiting_told(board: ActorHandle, rank: int) -> Iterator[None]:
    """Tell the board that the rank waits for rows, if the body takes long, and then that it has them.

    Most are there within milliseconds: to tell of each would cost more than they take to learn from.
    """
    is_told = Flag()

    def tell() -> None:
        is_told.set()
        board.wait_for_rows.remote(rank, TELL_AFTER_SECONDS)

    timer = Timer(TELL_AFTER_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if is_told.is_set():
            board.take_rows.remote(rank)


@contextmanager
def watched(board: ActorHandle, report: Report, say: Say) -> Iterator[None]:
    """Pass on what has come to the board, while the body runs and when it ends."""
    stopped = Flag()
    num_points = num_notes = 0

    def poll() -> None:
        nonlocal num_points, num_notes
        points, notes = ray.get(board.read.remote(num_points, num_notes), timeout=ANSWER_SECONDS)
        num_points, num_notes = num_points + len(points), num_notes + len(notes)
        for note in notes:
            say(note)
        for point in points:
            report(point)

    def watch() -> None:
        is_over = False
        while not is_over:
            is_over = stopped.wait(POLL_SECONDS)
            with suppress(RayError):  # of a cluster that is away for a moment: the next poll tells the same
                poll()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
