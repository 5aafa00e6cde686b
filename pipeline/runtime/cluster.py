"""The Ray of a command: the cluster that it is told of, else one on this machine, started when something is spread.

A process has one Ray at most, and so one command that it is of.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from pipeline.runtime import address
from pipeline.runtime.check import Check
from schemas.cluster import ClusterConfig
from schemas.errors import on_one_line

_of_command: "Cluster | None" = None


class Cluster:
    """What is spread over Ray requires it first; where that is known beforehand, it begins in the background.

    One thread starts and ends it, and lives for as long as it does: Linux ends Ray's processes with the thread that has
    started them.
    """

    def __init__(self, config: ClusterConfig, checks: Sequence[Check] | None = ()) -> None:
        self.checks = checks
        """That each node has to pass before it gets work, when it is next required; None: its nodes are not asked."""
        self.num_commands = 1
        """Each within the one before."""
        self.has_workers = config.most_workers > 0
        """Else all is done in this process."""
        self._where = config.address or os.environ.get("RAY_ADDRESS") or address.LOCAL
        self._was_there = _is_initialized()
        self._thread = ThreadPoolExecutor(1, "ray")
        self._start: Future[None] | None = None

    @property
    def is_given(self) -> bool:
        """There is one already, which is told of or which this process is connected to."""
        return self._where != address.LOCAL or self._was_there

    def begin(self) -> None:
        """Start it in the background, if it may be needed. What stands in its way is raised where it is required."""
        if self.has_workers:
            self._begin()

    def require(self) -> None:
        """Raises Refusal, within seconds, for an address that does not answer, and for a cluster of which a node does
        not pass the checks or runs another Nightjar.
        """
        self._begin()
        if self._start is not None:
            self._start.result()
        if self.checks is not None and self.is_given:  # the nodes' environment and disk may be others than ours
            from pipeline.runtime import nodes

            nodes.require(self.checks)
        self.checks = None

    def arrive(self) -> None:
        """Wait for what has begun, before anything is done that it could come too late for. Raises as `require`."""
        if self.has_workers:
            self.require()

    def leave(self) -> None:
        """End in the background what was started: nothing more is likely to be spread. Required again, it starts anew.

        Not where this command is one of several, or the cluster another's.
        """
        if self.num_commands == 1 and not self.is_given:
            self._leave()

    def end(self) -> None:
        """When this returns, nothing is left of it. A cluster that was connected to before stays as it was."""
        self._leave()
        self._thread.shutdown()

    def _begin(self) -> None:
        if self._start is None and not self._was_there:
            self._start = self._thread.submit(self._connect)

    def _leave(self) -> None:
        if self._start is not None:
            self._start = None
            self._thread.submit(_disconnect)

    def _connect(self) -> None:
        for name in ("ray.train", "ray.tune"):
            logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # tracebacks of tasks, which it raises as well
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address.require(self._where)
        import ray
        import ray.data

        try:
            ray.init(address=self._where, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise address.refusal(self._where, on_one_line(error)) from error
        ray.data.DataContext.get_current().enable_progress_bars = False


def _disconnect() -> None:
    if _is_initialized():
        import ray

        ray.shutdown()


def _is_initialized() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def current() -> Cluster:
    """That of the command at work in this process; without one, what the process is connected to, if it is."""
    return _of_command or Cluster(ClusterConfig(num_workers=int(_is_initialized())), checks=None)


def is_own() -> bool:
    """Whether Ray is of this process alone, which has started it and ends it."""
    return _of_command is not None and not _of_command.is_given


@contextmanager
def of_command(config: ClusterConfig, checks: Sequence[Check] | None = ()) -> Iterator[Cluster]:
    """The Ray of what is done within, which nothing has started yet; of a command within another one, that one's."""
    global _of_command
    if (outer := _of_command) is not None:
        before, outer.checks, outer.num_commands = outer.checks, checks, outer.num_commands + 1
        try:
            yield outer
        finally:
            outer.checks, outer.num_commands = before, outer.num_commands - 1
        return
    own = _of_command = Cluster(config, checks)
    try:
        yield own
    finally:
        _of_command = None
        own.end()


@contextmanager
def connected(config: ClusterConfig, checks: Sequence[Check] | None = ()) -> Iterator[Cluster]:
    """For what is spread from beginning to end. Raises Refusal as `Cluster.require`."""
    with of_command(config, checks) as own:
        own.require()
        yield own
