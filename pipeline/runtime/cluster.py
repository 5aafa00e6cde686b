"""The Ray cluster of a command: the one it is told of, else one on this machine for as long as the command runs."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ray
import ray.data

from pipeline.runtime import address, nodes
from pipeline.runtime.check import Check
from schemas.cluster import ClusterConfig
from schemas.errors import on_one_line

_is_own = False  # the cluster was started by this process, whose environment and disk are its nodes' too


@contextmanager
def connected(config: ClusterConfig, checks: Sequence[Check] | None = ()) -> Iterator[None]:
    """Connect to Ray, quietly; leave a cluster that was connected to before as it was.

    Raises Refusal, within seconds, for an address that does not answer, and for a cluster of which a node does not pass
    the checks or runs another Nightjar. None: its nodes are not asked.
    """
    global _is_own
    if ray.is_initialized():
        _require(checks)
        yield
        return
    for name in ("ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # tracebacks of tasks, which it raises as well
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = config.address or os.environ.get("RAY_ADDRESS") or address.LOCAL
    address.require(where)
    orderly = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise address.refusal(where, on_one_line(error)) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, orderly)  # in the place of Ray's own, which exits with 15 and without a word
    _is_own = where == address.LOCAL
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        _require(checks)
        yield
    finally:
        _is_own = False
        ray.shutdown()


def is_own() -> bool:
    """Whether it is of this process alone, which has started it and ends it."""
    return _is_own


def _require(checks: Sequence[Check] | None) -> None:
    if not _is_own and checks is not None:
        nodes.require(checks)
