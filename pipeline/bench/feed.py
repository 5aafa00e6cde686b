"""How fast one reader brings a packed store to a rank, beside pyarrow alone."""

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.data

from pipeline.bench import machine
from pipeline.bench.clicks import zipf_rows
from pipeline.data import feed, store
from pipeline.data.batch import Batch
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart

ROWS_PER_PART = 1_000_000  # as the training config's default
ROWS_AT_ONCE = 65_536
NUM_PASSES = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of all rows."""

    num_rows: int
    seconds: float
    first_window_rows: int
    first_window_seconds: float
    """From the start of the execution to its first rows; part of `seconds`."""

    @property
    def rows_per_second(self) -> float:
        return self.num_rows / self.seconds

    @property
    def rows_per_second_after_start(self) -> float | None:
        """Without the first window and the wait for it; undefined where that is all."""
        rest = self.num_rows - self.first_window_rows
        return rest / (self.seconds - self.first_window_seconds) if rest else None


def measure(num_rows: int, num_fields: int, num_ids: int, batch_size: int) -> dict[str, Any]:
    """Write a store into a temporary folder, then read it in turns through Ray Data and by pyarrow alone.

    Ray has one CPU, which the reader takes; slicing into batches is this process's, as it would be a rank's. The first
    pass also starts Ray's processes, which a training job does once. The others are what an epoch costs.
    """
    with tempfile.TemporaryDirectory() as folder:
        stored = write_store(folder, {"train": num_rows}, num_fields, num_ids)
        with own_cluster(num_cpus=1):
            rows = feed.dataset(stored, "train")
            rows.context.execution_options = feed.execution_options(num_ranks=1)
            (shard,) = rows.streaming_split(1, equal=True)
            first = _read(shard, num_fields, batch_size)
            passes, alone = [], []
            for _ in range(NUM_PASSES):
                passes.append(_read(shard, num_fields, batch_size))
                alone.append(num_rows / _seconds_alone(stored))
    after_start = [rate for one in passes if (rate := one.rows_per_second_after_start)]
    rate, rate_alone = statistics.median(one.rows_per_second for one in passes), statistics.median(alone)
    return {
        "rows": num_rows,
        "fields": num_fields,
        "rows_per_second": rate,
        "rows_per_second_after_start": statistics.median(after_start) if after_start else None,
        "first_window_seconds": statistics.median(one.first_window_seconds for one in passes),
        "first_pass_seconds": first.seconds,
        "first_pass_first_window_seconds": first.first_window_seconds,
        "limits": {"decode_rows_per_second": rate_alone},
        "ratios": {"rows_to_decode": rate / rate_alone},
    }


def write_store(uri: str, num_rows: dict[SplitName, int], num_fields: int, num_ids: int) -> Store:
    """A complete store of Zipf rows; nothing in it has been a log."""
    parts: list[StoredPart] = []
    seed = 0
    for split, total in num_rows.items():
        for index, start in enumerate(range(0, total, ROWS_PER_PART)):
            size = min(ROWS_PER_PART, total - start)
            starts = range(0, size, ROWS_AT_ONCE)
            chunks = [
                zipf_rows(min(ROWS_AT_ONCE, size - at), num_fields, num_ids, seed + i) for i, at in enumerate(starts)
            ]
            seed += len(chunks)
            rows = Rows.concatenate(chunks)
            part = StoredPart(split, machine.PART.day, index, len(rows), int(rows.labels.sum()))
            store.write_part(uri, part, rows)
            parts.append(part)
    return store.complete(uri, num_ids, parts)


@contextmanager
def own_cluster(num_cpus: int) -> Iterator[None]:
    """A Ray cluster of so many CPUs on this machine, whatever other there is, for as long as the body runs."""
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local", num_cpus=num_cpus, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def _read(shard: ray.data.DataIterator, num_fields: int, batch_size: int) -> Pass:
    start = time.perf_counter()
    num_rows = first_rows = 0
    first_seconds = 0.0
    for rows in feed.windows(shard, num_fields):
        if not num_rows:
            first_rows, first_seconds = len(rows), time.perf_counter() - start
        for at in range(0, len(rows), batch_size):
            num_rows += Batch.of(rows, at, at + batch_size).num_rows
    return Pass(num_rows, time.perf_counter() - start, first_rows, first_seconds)


def _seconds_alone(stored: Store) -> float:
    start = time.perf_counter()
    for part in stored.of_split("train"):
        machine.decode(Path(stored.uri, part.path))
    return time.perf_counter() - start
