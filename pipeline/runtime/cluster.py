"""The Ray cluster of a command: the one it is told of, else one on this machine for as long as the command runs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import ray.data

from schemas.config import ClusterConfig


@contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Connect to Ray, quietly; leave a cluster that was connected to before as it was."""
    if ray.is_initialized():
        yield
        return
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
