"""A box for the tests of a file: machines with disks of their own, on a network of their own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import box
import pytest


@pytest.fixture(scope="module")
def machines() -> Iterator[box.Box]:
    if why := box.why_none():
        pytest.skip(f"no machines in namespaces: {why}")
    shared = Path(tempfile.mkdtemp(prefix="nightjar-", dir="/var/tmp"))  # outside /tmp, which is each machine's own
    try:
        with box.opened(shared) as opened:
            yield opened
    finally:
        shutil.rmtree(shared, ignore_errors=True)
