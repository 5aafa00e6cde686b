"""Who holds a lease, as its file says, and whether that process is still at work."""

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from schemas.errors import Busy

LONGEST_SECONDS = 7 * 86_400.0  # of a lease, by night.lease_seconds
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
LARGEST_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Holder:
    """A generation's file. Times are seconds since 1970; `place` and `started` tell a process from all others."""

    owner: str
    what: str
    host: str
    pid: int
    place: str
    started: str
    since: float
    expires_at: float
    released: bool = False
    seconds: float = 0.0
    """From one renewal to when it expires without another; 0 is not known, as in a file of an earlier version."""

    @classmethod
    def here(cls, what: str, now: float, seconds: float) -> "Holder":
        """This process, from now on."""
        return cls(
            owner=uuid.uuid4().hex,
            what=what,
            host=socket.gethostname(),
            pid=os.getpid(),
            place=_place(),
            started=_state_and_start(os.getpid())[1] if _place() else "",
            since=now,
            expires_at=now + seconds,
            seconds=seconds,
        )

    @classmethod
    def unknown(cls, since: float, seconds: float) -> "Holder":
        """Somebody whose file tells nothing but when it was written."""
        return cls("", "another", "an unknown host", 0, "", "", since, since + seconds)

    @classmethod
    def parse(cls, content: bytes) -> "Holder":
        """What its file says; keys of another version are left aside. Raises an error where one is missing or wrong."""
        found = json.loads(content)
        known = {one.name: found[one.name] for one in fields(cls) if one.name in found}
        holder = cls(**known)
        texts = (holder.owner, holder.what, holder.host, holder.place, holder.started)
        times = (holder.since, holder.expires_at, holder.seconds)
        if not all(isinstance(text, str) for text in texts) or not isinstance(holder.released, bool):
            raise TypeError("texts that are none")
        if not all(_is_number(time) and isfinite(time) for time in times):
            raise TypeError("times that are no numbers")
        if type(holder.pid) is not int or not 0 <= holder.pid <= LARGEST_PID:
            raise ValueError("no number of a process")
        return holder

    def is_plausible(self, seconds: float, now: float) -> bool:
        """Whether a holder that lives can have written these times; those of `seconds` are who asks's own."""
        return 0 <= self.since <= LATEST and 0 <= self.expires_at <= now + 2 * self._longest(seconds)

    def since_written(self, written: float, seconds: float) -> "Holder":
        """With times for those that cannot be: a lease is renewed as long as its holder lives."""
        return replace(self, since=written, expires_at=written + self._longest(seconds))

    def holds(self, now: float) -> bool:
        is_gone = self.place != "" and self.place == _place() and not _is_running(self.pid, self.started)
        return not self.released and now < self.expires_at and not is_gone

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    def as_busy(self) -> Busy:
        since, expires = (datetime.fromtimestamp(seconds, UTC) for seconds in (self.since, self.expires_at))
        return Busy(self.what, self.host, self.pid, since, expires)

    def _longest(self, seconds: float) -> float:
        return max(seconds, self.seconds) if 0 < self.seconds <= LONGEST_SECONDS else seconds


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place() -> str:
    """Where a process id means one process: host, boot and container; empty where there is no /proc to tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_running(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
        state, start = _state_and_start(pid)
    except ProcessLookupError:
        return False
    except OSError:  # another user's, which may not be looked at
        return True
    return start == started and state not in "ZX"  # a zombie is dead, its parent has only not asked yet


def _state_and_start(pid: int) -> tuple[str, str]:
    """State and start of a process, fields 3 and 22 of proc(5)'s stat; the name before them may hold any sign."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return fields[0], fields[19]
