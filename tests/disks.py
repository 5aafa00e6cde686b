"""Disks with no room left and folders that nobody may read, as real ones tell it."""

import contextlib
import ctypes
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2  # root's leave to pass over permissions (linux/capability.h)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow within: the system answers EFBIG, where a full disk is ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def mounted(disk: Path, size: str = "1m") -> Iterator[Path]:
    """A file system of its own at the folder `disk`; skips the test where this machine lets none be mounted."""
    disk.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filling").open("wb", buffering=0) as filling:
        while True:
            filling.write(bytes(4096))


@contextlib.contextmanager
def permissions_bind() -> Iterator[None]:
    """Within, this thread and those it starts may read and write what files' permissions say, even as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the interface's third version, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, of the capabilities 0-31; then of the others
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    effective = sets[0]
    sets[0] &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)
