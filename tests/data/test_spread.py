"""Parts of a log worked on by threads of this process, as they are without a cluster."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pytest

from pipeline.data import spread
from pipeline.data.logs import Part
from pipeline.runtime import cluster
from schemas.cluster import ClusterConfig
from schemas.errors import Refusal

SCHEMA = pa.schema([("index", pa.int64())])
PARTS = [Part(date(2026, 11, 1), index, ()) for index in range(20)]


@pytest.fixture(autouse=True)
def _without_workers() -> Iterator[None]:
    with cluster.of_command(ClusterConfig(num_workers=0)):
        yield


def refused(part: Part) -> Refusal:
    return Refusal(found="rows", expected="none", where=f"part {part.index:02}", remedy="leave them out")


def test_results_come_in_the_order_of_the_parts_however_long_each_takes():
    def work(part: Part) -> pa.Table:
        time.sleep(0.001 * (part.index % 3))
        return pa.table([[part.index]], schema=SCHEMA)

    found = [table["index"].to_pylist() for table in spread.map_parts(PARTS, work, SCHEMA)]
    assert found == [[part.index] for part in PARTS]


def test_the_first_refusal_by_place_is_raised_when_all_parts_were_worked_on():
    worked = []

    def work(part: Part) -> pa.Table:
        worked.append(part.index)
        if part.index in (5, 17):
            raise refused(part)
        return pa.table([[part.index]], schema=SCHEMA)

    found = []
    with pytest.raises(Refusal, match="part 05"):
        found.extend(spread.map_parts(PARTS, work, SCHEMA))
    assert sorted(worked) == [part.index for part in PARTS]
    assert sum(map(len, found)) == len(PARTS) - 2


def test_what_files_have_met_here_is_told_without_a_node_and_before_a_refusal():
    def work(part: Part) -> pa.Table:
        if part.index == 3:
            raise refused(part)
        if part.index == 9:
            raise OSError(errno.ENOSPC, "No space left on device", "/mnt/part")
        return SCHEMA.empty_table()

    with pytest.raises(OSError, match=r"No space left on device: '/mnt/part'$"):
        list(spread.map_parts(PARTS, work, SCHEMA))


def test_what_is_shared_with_the_work_is_the_very_thing():
    shared = spread.Shared(value := object())

    def work(part: Part) -> pa.Table:
        assert shared.value is value
        return SCHEMA.empty_table()

    assert len(list(spread.map_parts(PARTS, work, SCHEMA, shared=shared))) == len(PARTS)


def test_no_more_results_wait_than_a_few_for_each_thread():
    begun = []

    def work(part: Part) -> pa.Table:
        begun.append(part.index)
        return pa.table([[part.index]], schema=SCHEMA)

    parts = [Part(date(2026, 11, 1), index, ()) for index in range(200)]
    tables = spread.map_parts(parts, work, SCHEMA)
    next(tables)
    time.sleep(0.02)
    assert len(begun) <= 2 * spread.MOST_THREADS + 1
    assert sum(map(len, tables)) == len(parts) - 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As a command at a terminal is: one that a shell has put into the background is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_the_threads_after_the_parts_at_work():
    begun = []

    def work(part: Part) -> pa.Table:
        begun.append(part.index)
        if part.index == 6:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return SCHEMA.empty_table()

    with pytest.raises(KeyboardInterrupt):
        list(spread.map_parts(PARTS, work, SCHEMA))
    assert len(begun) < len(PARTS)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("part")]
