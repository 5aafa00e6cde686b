"""Nothing can be written, as this process alone is told: what is left behind, and what the reader is told."""

import contextlib
import errno
import resource
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pytest

from pipeline.data import passes
from pipeline.data.logs import Part
from pipeline.runtime import files
from pipeline.runtime.lease import lease
from schemas.errors import Failure


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow within: the system answers EFBIG, where a full disk is ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    files.write_bytes(f"{tmp_path}/file", b"old")
    with pytest.raises(OSError, match="File too large"), full_disk():
        files.write_bytes(f"{tmp_path}/file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert files.read_bytes(f"{tmp_path}/file") == b"old"


def test_what_the_file_system_says_becomes_a_failure_in_words(tmp_path):
    with pytest.raises(Failure, match="File too large; the same command goes on"), files.answering(), full_disk():
        files.write_bytes(f"{tmp_path}/file", b"new")


def test_a_lease_that_cannot_be_written_is_nobodys(tmp_path):
    with pytest.raises(OSError, match="File too large"), full_disk(), lease(str(tmp_path), 60, "a night"):
        pytest.fail("it is held without a file")
    with lease(str(tmp_path), 60, "a night") as mine:
        assert mine.generation == 1


def test_a_lease_whose_release_cannot_be_written_is_free(tmp_path):
    with contextlib.ExitStack() as until_the_end, lease(str(tmp_path), 60, "a night"):
        until_the_end.enter_context(full_disk())
    with lease(str(tmp_path), 60, "the next night") as mine:
        mine.check()


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_what_a_task_on_another_node_met_is_told_without_its_traceback():
    schema = pa.schema([("day", pa.date32())])

    def write(part: Part) -> pa.Table:
        raise OSError(errno.ENOSPC, "No space left on device", "/mnt/part-0.parquet")

    with pytest.raises(Failure) as failed, files.answering():
        list(passes.map_parts([Part(date(2026, 11, 1), index, ()) for index in range(2)], write, schema))
    assert "No space left on device: '/mnt/part-0.parquet'" in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1
