"""From the store to the training ranks of a Ray Train job: Ray Data reads the parts, each rank gets its windows."""

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import ray.data
from ray.data import ExecutionOptions, ExecutionResources
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor

from pipeline.data.packing import to_rows
from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart, opened, without_groups
from pipeline.data.windows import WINDOW_ROWS, rewindowed

ROWS_PER_READ = 262_144  # small parts are read together by one task, up to about this many rows
BLOCK_BYTES = 16 * 2**20  # a window or two: blocks of Ray's 128 MB come later, and are copied together and held twice
LOOK_SECONDS = 0.01  # between two looks of the executor
READ_AHEAD_BYTES = 128 * 2**20  # for each rank, of what is read and not yet trained on


class Unhurried(ExecutionCallback):  # type: ignore[misc]  # Ray's modules are untyped
    """Lets Ray's executor look no more often than this at what has been read.

    It looks on and on while rows wait to be trained on, which took a CPU from the ranks for as long as they trained.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + LOOK_SECONDS


def dataset(store: Store, split: SplitName) -> ray.data.Dataset:
    """All packed rows of a split to train on, in the order of days. Lazy; each iteration is one epoch.

    The store knows its parts, so no footers are read to plan the reading: this is what makes an epoch start quickly.
    """
    reads = [
        [(store.uri_of(part), part.footer_sha256, store.thinning(part)) for part in together]
        for together in _group(store.of_split(split))
    ]

    def read(batch: dict[str, np.ndarray]) -> Iterator[pa.Table]:
        for uri, footer_sha256, thinning in (part for i in batch["read"] for part in reads[i]):
            with opened(uri, footer_sha256) as file:
                record_batches = file.iter_batches(batch_size=WINDOW_ROWS, columns=without_groups(file))
                yield from thinning.kept(pa.Table.from_batches([one]) for one in record_batches)

    items = [{"read": i} for i in range(len(reads))]
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(read, batch_size=None)
    rows.context.target_max_block_size = BLOCK_BYTES
    rows.context.custom_execution_callback_classes = [Unhurried]
    return rows


def execution_options(num_ranks: int) -> ExecutionOptions:
    """In order, so that a resumed run is fed what an uninterrupted one would have been, and not far ahead.

    Ray would fill a share of its object store with what is read, all of which a rank has mapped sooner or later: its
    memory would grow with the rows up to gigabytes.
    """
    limits = ExecutionResources(object_store_memory=num_ranks * READ_AHEAD_BYTES)
    return ExecutionOptions(preserve_order=True, resource_limits=limits)


def windows(shard: ray.data.DataIterator, num_fields: int, window_rows: int = WINDOW_ROWS) -> Iterator[Rows]:
    """One epoch of a rank's share, `window_rows` at a time.

    By blocks as they are, which are viewed: Ray would put windows together of them, each a copy and by steps that take
    it longer than a fused FM takes for the window's rows.
    """
    blocks = shard.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
    chunks = (pa.Table.from_batches([chunk]) for block in blocks for chunk in block.to_batches())
    return rewindowed((to_rows(chunk, num_fields) for chunk in chunks), window_rows)


def _group(parts: list[StoredPart]) -> list[list[StoredPart]]:
    """Consecutive parts together, until they hold ROWS_PER_READ rows."""
    groups: list[list[StoredPart]] = [[]]
    rows = 0
    for part in parts:
        if groups[-1] and rows + part.num_rows > ROWS_PER_READ:
            groups.append([])
            rows = 0
        groups[-1].append(part)
        rows += part.num_rows
    return groups
