"""Work on the parts of a log: by threads of this process, or spread over a cluster by Ray Data.

A refusal comes home as a row of the result, not as an exception: Ray would wrap it in a traceback of the task, and
which of several came first would be chance.
"""

import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.runtime import cluster, files
from schemas.errors import Refusal

if TYPE_CHECKING:
    import ray


class Piece(Protocol):
    """What is worked on as a whole: a part of a log, or a file on its way into one."""

    @property
    def num_rows(self) -> int:
        """That it has; 0: nobody knows."""


T = TypeVar("T")
P = TypeVar("P", bound=Piece)
Work = Callable[[P], pa.Table]
Combine = Callable[[Sequence[pa.Table]], pa.Table]
TASKS_PER_CPU = 4
COMBINED_ROWS = 5_000_000  # of a task's results, from which on they travel: its memory must not grow with its parts
# Python lets one thread at a time do what is neither Arrow's nor numpy's: threads come to as much as three or four
# processes, and processes of Ray's to start and to make ready take some 5 s, in which threads pass millions of rows.
THREADS_WORTH = 4  # processes
SPREAD_ROWS = 10_000_000
MOST_THREADS = 8  # each of which holds a part


@dataclass(frozen=True, slots=True)
class _Task(Generic[P]):
    """Some parts worked on, one after the other."""

    work: Work[P]
    schema: pa.Schema
    """Of the results, then `refusal` and `os_error`."""
    combine: Combine | None = None
    is_elsewhere: bool = True
    """The node is told of what went wrong."""

    def __call__(self, parts: Sequence[P]) -> Iterator[pa.Table]:
        """Results, whose last two columns are null, and a row for each trouble."""
        done: list[pa.Table] = []
        for part in parts:
            try:
                done.append(self.work(part))
            except Refusal as refusal:
                yield pa.Table.from_pylist([{"refusal": _to_json(refusal)}], schema=self.schema)
            except files.errors() as error:
                node = f", on the node {socket.gethostname()}" if self.is_elsewhere else ""
                said = f"{str(error) or type(error).__name__}{node}"
                yield pa.Table.from_pylist([{"os_error": said}], schema=self.schema)
            if done and (self.combine is None or sum(map(len, done)) > COMBINED_ROWS):
                yield self._without_troubles(done)
                done = []
        if done:
            yield self._without_troubles(done)

    def _without_troubles(self, done: Sequence[pa.Table]) -> pa.Table:
        table = self.combine(done) if self.combine else done[0]
        nulls = pa.nulls(len(table), pa.string())
        return table.append_column("refusal", nulls).append_column("os_error", nulls)


def _to_json(refusal: Refusal) -> str:
    return json.dumps({key: getattr(refusal, key) for key in ("where", "found", "expected", "remedy")})


def map_parts(
    parts: Sequence[P],
    work: Work[P],
    schema: pa.Schema,
    combine: Combine | None = None,
    shared: "Shared[Any] | None" = None,
) -> Iterator[pa.Table]:
    """What `work` makes of each part, here or on all nodes (`_are_spread`), as it arrives, with what it has `shared`.

    With `combine`, results of the parts that share a task come as the one table that it makes of them.

    Raises, after the last, what a part has met of its file system, as an OSError, else the first Refusal by place, so
    that the same bad log gives the same message each time.
    """
    if len(parts) <= 1:
        yield from (work(part).cast(schema) for part in parts)
        return
    with_troubles = schema.append(pa.field("refusal", pa.string())).append(pa.field("os_error", pa.string()))
    if _are_spread(parts):
        tables = _by_ray(parts, _Task(work, with_troubles, combine), shared)
    else:
        tables = _by_threads(parts, _Task(work, with_troubles, is_elsewhere=False))
    refusals: list[str] = []
    os_errors: list[str] = []
    for block in tables:
        table = block.cast(with_troubles)
        refusals += table.column("refusal").drop_null().to_pylist()
        os_errors += table.column("os_error").drop_null().to_pylist()
        is_done = pc.and_(pc.is_null(table.column("refusal")), pc.is_null(table.column("os_error")))
        yield table.filter(is_done).drop_columns(["refusal", "os_error"])
    if os_errors:
        raise OSError(os_errors[0])
    if refusals:
        raise Refusal(**json.loads(min(refusals)))


def _are_spread(parts: Sequence[P]) -> bool:
    """Over a cluster that is given, what is more than a part; over processes of this machine, what is worth them."""
    own = cluster.current()
    if not own.has_workers or len(parts) == 1:
        return False
    is_worth_processes = num_cpus() > THREADS_WORTH and sum(part.num_rows for part in parts) > SPREAD_ROWS
    return own.is_given or is_worth_processes


def num_threads() -> int:
    """That work on parts at a time, where it is not spread."""
    return min(num_cpus(), MOST_THREADS)


def num_cpus() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _by_threads(parts: Sequence[P], task: _Task[P]) -> Iterator[pa.Table]:
    """In the order of the parts; no thread is more than a few of them ahead of who takes the results.

    Whoever stops taking them waits for the parts at work, and the others are left.
    """
    threads = min(len(parts), num_threads())
    pool = ThreadPoolExecutor(threads, "part")
    begun: deque[Future[list[pa.Table]]] = deque()
    try:
        for part in parts:
            begun.append(pool.submit(lambda part: [*task([part])], part))
            if len(begun) > 2 * threads:
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _by_ray(parts: Sequence[P], task: _Task[P], shared: "Shared[Any] | None") -> Iterator[pa.Table]:
    """As it arrives; tiny parts share a task."""
    cluster.current().require()
    import ray
    import ray.data

    if shared:
        shared.send()

    def run(batch: dict[str, np.ndarray]) -> Iterator[pa.Table]:
        return task([parts[i] for i in batch["part"]])

    num_tasks = min(len(parts), TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1))))
    items = [{"part": i} for i in range(len(parts))]
    dataset = ray.data.from_items(items, override_num_blocks=num_tasks).map_batches(run, batch_size=None)
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow")


class Shared(Generic[T]):
    """What is large and the work on every part takes: where that is spread, each process fetches it once."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._sent: ray.ObjectRef[T] | None = None

    def send(self) -> None:
        """Into Ray's object store; before the work is sent that holds this."""
        import ray

        self._sent = ray.put(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        assert self._sent is not None
        return _fetched, (self._sent,)


@lru_cache(maxsize=2)
def _fetched(sent: "ray.ObjectRef[T]") -> Shared[T]:
    """Ray's worker processes outlive their tasks, and what the value makes of itself at its first use stays with it."""
    import ray

    return Shared(ray.get(sent))
