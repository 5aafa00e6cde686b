"""The files of an import become parts that wait: chunk by chunk by threads here, or file by file on all nodes."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from pipeline.data import spread
from pipeline.intake.chunks import NUM_FIRST, Chunk, Done, Waiting
from pipeline.intake.reading import FileReader
from pipeline.runtime import cluster
from pipeline.runtime.progress import Event, Show
from schemas.errors import Refusal

MEGABYTE = 10**6
DONE_SCHEMA = pa.schema([("done", pa.string())])
NewDone = tuple[Done, bool]
"""What a chunk has come to, and whether it was written just now."""


def written(waiting: Waiting, readers: Sequence[FileReader], max_bad_share: float) -> Iterator[NewDone]:
    """Write the chunks of all files that are not there yet; yields all, those of a file in their order.

    On a cluster that is given, each of several files is a task, which reads it from beginning to end.

    Raises Refusal where more of a file's lines are left out than `max_bad_share`, as far as it has been read: another
    format is told at once.
    """
    if cluster.current().is_given and len(readers) > 1:
        yield from _on_nodes(waiting, readers, max_bad_share)
        return
    for reader in readers:
        yield from _of_file(waiting, reader, max_bad_share, spread.num_threads())


def _of_file(waiting: Waiting, reader: FileReader, max_bad_share: float, threads: int) -> Iterator[NewDone]:
    """A file's chunks, in their order; the next ones are read and written by threads meanwhile."""
    rows = 0
    bad: list[Done] = []
    for done, is_new in _chunks(waiting, reader, threads):
        rows += sum(done.rows.values())
        bad += [done] if done.num_bad else []
        num_bad = sum(one.num_bad for one in bad)
        if num_bad > max_bad_share * (rows + num_bad):
            raise _too_many(reader, bad, rows + num_bad, max_bad_share)
        yield done, is_new


def _chunks(waiting: Waiting, reader: FileReader, threads: int) -> Iterator[NewDone]:
    begun: deque[Done | Future[Done]] = deque()
    with ThreadPoolExecutor(threads, "chunk") as pool:
        try:
            for chunk in waiting.chunks(reader):
                begun.append(pool.submit(waiting.write, chunk) if isinstance(chunk, Chunk) else chunk)
                if len(begun) > threads:
                    yield _result(begun.popleft())
            while begun:
                yield _result(begun.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(one: Done | Future[Done]) -> NewDone:
    return (one, False) if isinstance(one, Done) else (one.result(), True)


def _too_many(reader: FileReader, bad: Sequence[Done], num_lines: int, max_bad_share: float) -> Refusal:
    first = [words for done in bad for words in done.first_bad][:NUM_FIRST]
    return Refusal(
        found=f"{sum(done.num_bad for done in bad):,} of {num_lines:,} lines that break the format: {'; '.join(first)}",
        expected=f"at most {max_bad_share:.2%} of a file's lines, as far as it is read",
        where=reader.source.uri,
        remedy="correct the lines, or leave them out: --max-bad-share 0.01 writes up to 1% of them to quarantine/",
    )


def _on_nodes(waiting: Waiting, readers: Sequence[FileReader], max_bad_share: float) -> Iterator[NewDone]:
    def work(reader: FileReader) -> pa.Table:
        done = [json.dumps(asdict(one)) for one, _ in _of_file(waiting, reader, max_bad_share, threads=1)]
        return pa.table([done], schema=DONE_SCHEMA)

    for table in spread.map_parts(readers, work, DONE_SCHEMA):
        yield from ((Done(**json.loads(told)), True) for told in table["done"].to_pylist())


@dataclass
class Progress:
    """Tells how far an import is, by the bytes of its files, and how fast it goes."""

    show: Show
    total_bytes: int
    now: Callable[[], float] = time.monotonic
    rows: int = 0
    _new_rows: int = 0
    _bytes_read: dict[str, int] = field(default_factory=dict)
    """Of each file, by its number."""
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()

    def add(self, done: Done, *, is_new: bool) -> None:
        """Of what was there before it is told with the next that was not, lest its pace be taken for this one's."""
        num_rows = sum(done.rows.values())
        self.rows += num_rows
        self._bytes_read[done.name.partition("-")[0]] = done.num_bytes_read
        if is_new:
            self._new_rows += num_rows
            self._tell(min(sum(self._bytes_read.values()) // MEGABYTE, self._total - 1))

    def end(self) -> None:
        self._tell(self._total)

    @property
    def _total(self) -> int:
        return max(1, self.total_bytes // MEGABYTE)

    def _tell(self, at: int) -> None:
        rate = self._new_rows / max(self.now() - self._began, 1e-9)
        note = f"{self.rows:,} rows, {rate:,.0f} rows/s"
        self.show(Event("import", at, self._total, note, rows=self.rows if at == self._total else 0))
