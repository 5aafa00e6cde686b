"""Counts of many parts, added up in one process that holds little more than their sum.

To add tables up costs a multiple of what they hold. So values are kept on shelves, by how their text ends, and only one
shelf is added up at a time: ids, whose ends are all alike frequent, fill the shelves evenly.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

NUM_SHELVES = 32
WAITING_COUNTS = 5_000_000  # on all shelves together, before the first is added up
WAITING_SHARE = 0.25  # of what a shelf holds: that much waits to be added, and each count is so added up a few times


def add_up(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """The column `count` of many tables of this schema, summed by all other columns, as they arrive.

    Among these is `value`, a text. In this process, which must hold the result in any case: Ray's own groupby takes
    seconds to begin.
    """
    shelves = [_Shelf(schema) for _ in range(NUM_SHELVES)]
    for table in tables:
        for number, piece in _by_shelf(table):
            shelves[number].add(piece)
    return pa.concat_tables([shelf.total() for shelf in shelves])


class _Shelf:
    """The sum of some tables, and others that wait to be added to it."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._sum = schema.empty_table()
        self._waiting: list[pa.Table] = []
        self._num_waiting = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._num_waiting += len(table)
        if self._num_waiting > max(WAITING_COUNTS / NUM_SHELVES, WAITING_SHARE * len(self._sum)):
            self.total()

    def total(self) -> pa.Table:
        if self._waiting:
            keys = [name for name in self._schema.names if name != "count"]
            parts = pa.concat_tables([self._sum, *self._waiting])
            self._sum, self._waiting, self._num_waiting = self._schema.empty_table(), [], 0
            summed = parts.group_by(keys).aggregate([("count", "sum")])
            self._sum = summed.rename_columns([*keys, "count"]).select(self._schema.names).cast(self._schema)
        return self._sum


def _by_shelf(table: pa.Table) -> Iterable[tuple[int, pa.Table]]:
    """The table in pieces, which are copies: none keeps the block of Ray's that it came in."""
    shelf_of_row = np.concatenate([*map(_shelves, table.column("value").chunks), np.empty(0, np.uint8)])
    order = np.argsort(shelf_of_row, kind="stable")
    ends = np.cumsum(np.bincount(shelf_of_row, minlength=NUM_SHELVES))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end > start:
            yield number, table.take(pa.array(order[start:end]))


def _shelves(values: pa.StringArray) -> np.ndarray:
    """The shelf of each value, uint8, by its last two bytes; that of null and of shorter texts is one of the others."""
    _, offsets, text = values.buffers()
    if not len(values) or text is None or not text.size:
        return np.zeros(len(values), np.uint8)
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    byte = np.frombuffer(text, np.uint8)
    last, before = byte[ends[1:] - 1], byte[np.maximum(ends[1:] - 2, 0)]  # of a short one any, which is passed over
    is_short = (np.diff(ends) < 2) | values.is_null().to_numpy(zero_copy_only=False)
    shelves: np.ndarray = np.where(is_short, 0, (last + 7 * before.astype(np.uint16)) % NUM_SHELVES).astype(np.uint8)
    return shelves
