"""Nothing can be written, as this process alone is told: what is left behind."""

import contextlib

import pytest
from disks import full_disk

from pipeline.runtime import files
from pipeline.runtime.lease import lease


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    files.write_bytes(f"{tmp_path}/file", b"old")
    with pytest.raises(OSError, match="File too large"), full_disk():
        files.write_bytes(f"{tmp_path}/file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert files.read_bytes(f"{tmp_path}/file") == b"old"


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
