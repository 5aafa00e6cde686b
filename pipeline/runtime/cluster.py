"""The Ray cluster of a command: the one it is told of, else one on this machine for as long as the command runs."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import ray.data

from schemas.config import ClusterConfig
from schemas.errors import Refusal

ANSWER_SECONDS = 5.0  # Ray itself tries for minutes


@contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Connect to Ray, quietly; leave a cluster that was connected to before as it was.

    Raises Refusal, within seconds, for an address that does not answer.
    """
    if ray.is_initialized():
        yield
        return
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, ValueError) as error:
        raise _refusal(address, error) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def reach(address: str) -> None:
    """Raise Refusal where nothing answers at a host and port; `local` and `auto` are for Ray to find."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        try:
            socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        except OSError as error:
            raise _refusal(address, error) from error


def _refusal(address: str, error: Exception) -> Refusal:
    return Refusal(
        found=" ".join(str(error).split())[:200],
        expected="the address of a Ray cluster that answers, as host:port",
        where=f"cluster.address, or RAY_ADDRESS: {address}",
        remedy="start the cluster or correct the address; without one, Ray runs on this machine alone",
    )
