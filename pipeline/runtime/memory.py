"""How much memory there is where this process runs."""

import os
from pathlib import Path

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_bytes() -> int:
    """The memory of this machine, or of the container that this process runs in."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [Path(name).read_text(encoding="utf-8").strip() for name in CGROUP_LIMITS if Path(name).exists()]
    return min([physical, *(int(limit) for limit in limits if limit.isdigit())])
