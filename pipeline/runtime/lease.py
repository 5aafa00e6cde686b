"""A lease: only one process works on a thing at a time, on whatever hosts, by files on any fsspec file system.

A folder holds `<generation>.json`, one for each that has held the lease, and the newest counts. It is free when the
newest is released, has expired, or was held by a process that is gone from this host. Who then creates the next one
holds the lease; creation is exclusive, so there is one who does. A thread moves `expires_at` on as long as the process
lives. The generation is a fencing token (Kleppmann 2016, "How to do distributed locking"): a holder that was paused
for too long sees a newer one, and `Lease.check` says so before it does harm.

Creation is exclusive on local disks, S3 (If-None-Match) and Google Cloud Storage. Elsewhere fsspec looks before it
writes, or only writes; of two that begin within that moment, the first to read its file again may find itself, and
learns at its next check that the other has written over it. Hosts' clocks must agree to well within the lease's
seconds.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import fsspec

from pipeline.runtime import files, trusted
from pipeline.runtime.holder import Holder
from pipeline.runtime.trusted import Damaged
from schemas.errors import Busy, Failure

BEATS = 3  # renewals within the seconds of a lease: two may fail
KEPT_GENERATIONS = 5
LOOK_SECONDS = 1.0
_FILE = re.compile(r"(\d+)\.json")


class Lost(Failure):
    """The lease expired or another process holds it now: what was begun must not be concluded."""


class Lease:
    """Held from when it is made until it is released or lost. `generation` rises from holder to holder."""

    def __init__(
        self, folder_uri: str, generation: int, holder: Holder, seconds: float, now: Callable[[], float]
    ) -> None:
        self.generation = generation
        self._folder_uri = folder_uri
        self._holder = holder
        self._seconds = seconds
        self._now = now

    def check(self) -> None:
        """To be called right before what only the holder may do. Raises Lost."""
        if self._now() >= self._holder.expires_at:
            raise Lost(f"{self._holder.what}: its lease expired before it was renewed; the same command goes on")
        if not self._is_newest():
            raise Lost(f"{self._holder.what}: another process has taken over its lease; see {self._folder_uri}")

    def renew(self) -> bool:
        """Hold it for the full seconds from now on; false where another has taken over."""
        if not self._is_newest():
            return False
        renewed = replace(self._holder, expires_at=self._now() + self._seconds)
        files.write_bytes(_uri(self._folder_uri, self.generation), renewed.to_json())
        self._holder = renewed  # after the write: `check` believes only what others can read
        return True

    def release(self) -> None:
        if self._is_newest():
            uri, released = _uri(self._folder_uri, self.generation), replace(self._holder, released=True)
            try:
                files.write_bytes(uri, released.to_json())
            except OSError:  # of a full disk, which can still forget that it was held
                files.remove(uri)

    def _is_newest(self) -> bool:
        generation, holder = _newest(self._folder_uri, self._seconds, self._now())
        return generation == self.generation and holder is not None and holder.owner == self._holder.owner


@dataclass(frozen=True, slots=True)
class Wait:
    """For how many seconds one who comes may wait for the lease of a process that is dead, and whom it tells of it."""

    seconds: float
    tell: Callable[[Busy], object]


@contextmanager
def lease(
    folder_uri: str, seconds: float, what: str, now: Callable[[], float] = time.time, wait: Wait | None = None
) -> Iterator[Lease]:
    """Hold the lease of a folder, renewed until the block ends, however it ends; raises Busy where it is held.

    After a kill, others may begin when it expires, and `wait` for that; on the same host none needs to, where Linux's
    /proc tells that the process is gone. `what` is the work's name in messages; `now` is the clock, in seconds since
    1970.
    """
    held = _acquire_later(folder_uri, seconds, what, now, wait) if wait else _acquire(folder_uri, seconds, what, now)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(held, seconds / BEATS, ended), daemon=True, name="lease")
    heart.start()
    try:
        yield held
    finally:
        ended.set()
        heart.join()  # a renewal after the release would undo it
        with suppress(Exception):  # which must not hide why the block ended; unreleased, it expires
            held.release()


def is_held(folder_uri: str, seconds: float, now: Callable[[], float] = time.time) -> bool:
    """Whether somebody holds the lease of that folder now; what they hold it for is not asked."""
    _, holder = _newest(folder_uri, seconds, now())
    return holder is not None and holder.holds(now())


def _acquire_later(folder_uri: str, seconds: float, what: str, now: Callable[[], float], wait: Wait) -> Lease:
    """Raises Busy as soon as its holder is seen to live, by a renewal, or to be another than it was."""
    until, first = time.monotonic() + wait.seconds, None
    while True:
        try:
            return _acquire(folder_uri, seconds, what, now)
        except Busy as busy:
            if first is None and wait.seconds > 0:
                wait.tell(busy)
            first = first or busy
            if busy.args != first.args or time.monotonic() >= until:
                raise
        time.sleep(min(LOOK_SECONDS, seconds / BEATS))


def _acquire(folder_uri: str, seconds: float, what: str, now: Callable[[], float]) -> Lease:
    generation, holder = _newest(folder_uri, seconds, now())
    if holder is not None and holder.holds(now()):
        raise holder.as_busy()
    own = Holder.here(what, now(), seconds)
    try:
        _create(_uri(folder_uri, generation + 1), own.to_json())
    except OSError:
        # It exists where another was first, and where this was a second attempt because the first's answer was lost.
        if _newest(folder_uri, seconds, now())[0] <= generation:
            raise
    # Whoever looked long ago may have created one below the newest.
    newest, holder = _newest(folder_uri, seconds, now())
    if holder is None or holder.owner != own.owner:
        raise (holder or own).as_busy()
    _remove_old(folder_uri, newest)
    return Lease(folder_uri, newest, own, seconds, now)


def _beat(held: Lease, every_seconds: float, ended: threading.Event) -> None:
    while not ended.wait(every_seconds):
        with suppress(Exception):  # of a file system that is away: the next beat tries again, and `check` knows
            if not held.renew():
                return


def _newest(folder_uri: str, seconds: float, now: float) -> tuple[int, Holder | None]:
    """(0, None) where none ever held the lease."""
    fs, folder = fsspec.core.url_to_fs(folder_uri)
    while True:
        generation = max(_generations(folder_uri), default=0)
        if not generation:
            return 0, None
        path = f"{folder}/{generation}.json"
        with suppress(FileNotFoundError):  # where so many newer ones came meanwhile that it was removed
            try:
                content = fs.cat_file(path)
                with trusted.parsing(path):
                    holder = Holder.parse(content)
            except (Damaged, IsADirectoryError):
                # Created, but not yet written; or never, by one that died in between: then it, too, expires.
                return generation, Holder.unknown(fs.modified(path).timestamp(), seconds)
            if holder.is_plausible(seconds, now):
                return generation, holder
            return generation, holder.since_written(fs.modified(path).timestamp(), seconds)


def _generations(folder_uri: str) -> list[int]:
    fs, folder = fsspec.core.url_to_fs(folder_uri)
    fs.invalidate_cache(folder)  # of what other processes have written it knows nothing
    try:
        names = [str(path).rsplit("/", 1)[-1] for path in fs.ls(folder, detail=False)]
    except FileNotFoundError:
        return []
    return [int(found[1]) for found in map(_FILE.fullmatch, names) if found]


def _create(uri: str, content: bytes) -> None:
    """Raises FileExistsError."""
    fs, path = fsspec.core.url_to_fs(uri)
    files.make_folder(fs, path.rpartition("/")[0])
    if "file" in fs.protocol:  # where pipe_file would look, then write, and the operating system does both at once
        try:
            with fs.open(path, "xb") as stream:
                stream.write(content)
        except FileExistsError:
            raise
        except OSError:  # of a full disk: a file that is not whole would hold the lease until it expires
            with suppress(OSError):
                fs.rm_file(path)
            raise
    else:
        fs.pipe_file(path, content, mode="create")


def _remove_old(folder_uri: str, newest: int) -> None:
    for generation in _generations(folder_uri):
        if generation <= newest - KEPT_GENERATIONS:
            with suppress(FileNotFoundError):
                files.remove(_uri(folder_uri, generation))


def _uri(folder_uri: str, generation: int) -> str:
    return f"{folder_uri}/{generation}.json"
