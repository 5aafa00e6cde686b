import gc
import logging
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click_logs import SPEC, click_rows, write_day
from processes import free_port

from schemas.features import FeatureSpec

# Before anything imports torch. Small operations gain nothing by threads, and wait long for them on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray 2.59 and later turn token authentication on for local clusters, which a second node could then not join.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process a job, for nodes that nobody takes away

# What a terminal that tests are run in says of itself, and commands go by.
for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(name, None)

# Known before Ray starts, whose workers have the environment they were started with.
S3_PORT = free_port()
os.environ |= {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{S3_PORT}",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


# What is imported and collected stays to the end: to look through it again and again takes a tenth of the time.
gc.disable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Catch warnings, and not by `log_level`, for which every logger forgets what it lets through, six times a test."""
    logs = session.config.pluginmanager.get_plugin("logging-plugin")
    assert logs is not None
    for handler in (logs.caplog_handler, logs.report_handler):
        handler.setLevel(logging.WARNING)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for servers and clusters comes first: the many short tests then fill what time processes have left."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is None and item.get_closest_marker("slow") is None)


@pytest.fixture
def spec() -> FeatureSpec:
    return FeatureSpec.model_validate(SPEC)


@pytest.fixture
def rows() -> pa.Table:
    return click_rows()


@pytest.fixture
def logs_uri(tmp_path: Path) -> str:
    """Three days of eight rows."""
    for day in range(3):
        write_day(tmp_path / "logs", date(2026, 11, 1 + day), click_rows(8 * day))
    return str(tmp_path / "logs")


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A Ray cluster of two nodes with two CPUs each, on this machine."""
    import ray
    import ray.data
    from ray.cluster_utils import Cluster

    # Processes that do no work for a test, and cost seconds.
    without = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)  # workers import what tests define
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **without})
        nodes.add_node(num_cpus=2)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture(scope="session")
def ray_address(cluster: None) -> str:
    """For processes of their own."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """An empty bucket behind a server that speaks S3, as a URI."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", S3_PORT, verbose=False)
    server.start()
    fsspec.filesystem("s3").mkdir("clicks")
    yield "s3://clicks"
    server.stop()
