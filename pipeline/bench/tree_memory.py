"""What a process and all that it has started hold in memory together, looked at while they work; on Linux."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

PROC = Path("/proc")
EVERY_SECONDS = 0.5


@dataclass(slots=True)
class Samples:
    """(Seconds since 1970, bytes) of each look; none where the system has no /proc to look into."""

    looks: list[tuple[float, int]] = field(default_factory=list)

    def peak_bytes(self, began: float = 0.0, ended: float = float("inf")) -> int | None:
        """The most that was seen from one time to another; None where nothing was."""
        return max((held for when, held in self.looks if began <= when <= ended), default=None)


@contextmanager
def watched(pid: int) -> Iterator[Samples]:
    """Look at the process and its descendants every EVERY_SECONDS, in a thread, while the body runs."""
    samples, stopped = Samples(), Event()

    def look() -> None:
        while not stopped.wait(EVERY_SECONDS):
            held = held_bytes(pid)
            if held:
                samples.looks.append((time.time(), held))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stopped.set()
        thread.join()


def held_bytes(pid: int) -> int:
    """What they hold now; memory that several share counts once (proc(5)'s Pss)."""
    return sum(map(_held_by, with_descendants(pid)))


def with_descendants(pid: int) -> list[int]:
    """The process, those that it has started, theirs, and so on."""
    found, of_parent = [pid], defaultdict(list)
    for stat in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            of_parent[int(stat.read_text().rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    for parent in found:
        found += of_parent[parent]
    return found


def _held_by(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
