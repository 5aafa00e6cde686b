"""Counts of many parts, added up in one process that holds little more than their sum, or a part of that.

To add tables up costs a multiple of what they hold. So values are kept on shelves, by how their text ends, and only one
shelf is added up at a time: ids, whose ends are all alike frequent, fill the shelves evenly. Where the shelves together
hold more than they may, they are emptied to files, one a shelf, and what a value has come to is added up shelf by shelf
in the end.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NUM_SHELVES = 32
WAITING_COUNTS = 5_000_000  # on all shelves together, before the first is added up
WAITING_SHARE = 0.25  # of what a shelf holds: that much waits to be added, and each count is so added up a few times
ON_SHELF = pa.schema([("key", pa.int32()), ("value", pa.string()), ("count", pa.int64())])


def add_up(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """The column `count` of many tables of this schema, summed by all other columns, as they arrive.

    Among these is `value`, a text. In this process, which must hold the result in any case: Ray's own groupby takes
    seconds to begin.
    """
    return pa.concat_tables([schema.empty_table(), *summed(tables, schema)])


def summed(tables: Iterable[pa.Table], schema: pa.Schema, most_bytes: int | None = None) -> Iterator[pa.Table]:
    """The same in several tables, no two of which have the same values; nothing else holds those that were yielded.

    What is held of counts beyond `most_bytes` lies in files of a temporary folder until its values' turn comes.
    """
    keys = _Keys(schema)
    with ExitStack() as stack:
        shelves = [_Shelf() for _ in range(NUM_SHELVES)]
        for table in tables:
            for number, piece in _by_shelf(keys.numbered(table)):
                shelves[number].add(piece)
            if most_bytes is not None and sum(shelf.num_bytes for shelf in shelves) > most_bytes:
                for shelf in shelves:
                    shelf.empty(stack)
        while shelves:
            yield keys.named(shelves.pop().total())


class _Keys:
    """All that counts are told apart by beside the value, as numbers: there are few, and many counts have each."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._names = [name for name in schema.names if name not in ("value", "count")]
        self._number_of: dict[tuple[Any, ...], int] = {}

    def numbered(self, table: pa.Table) -> pa.Table:
        """With the column `key` in place of what it stands for."""
        encoded = [table.column(name).combine_chunks().dictionary_encode("encode") for name in self._names]
        codes = np.zeros(len(table), np.int64)
        for column in encoded:
            codes = codes * len(column.dictionary) + column.indices.to_numpy()
        number_of = np.zeros(int(codes.max(initial=0)) + 1, np.int32)
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            number_of[code] = self._number(code, [column.dictionary for column in encoded])
        key = number_of.take(codes)
        return pa.table([pa.array(key), table.column("value"), table.column("count")], schema=ON_SHELF)

    def named(self, table: pa.Table) -> pa.Table:
        """The inverse of `numbered`."""
        keys = pa.Table.from_pylist(
            [dict(zip(self._names, key, strict=True)) for key in self._number_of],
            pa.schema([self._schema.field(name) for name in self._names]),
        )
        columns = keys.take(table.column("key"))
        for name in ("value", "count"):
            columns = columns.append_column(name, table.column(name))
        return columns.select(self._schema.names).cast(self._schema)

    def _number(self, code: int, dictionaries: Sequence[pa.Array]) -> int:
        key = []
        for values in reversed(dictionaries):
            code, place = divmod(code, len(values))
            key.append(values[place].as_py())
        return self._number_of.setdefault(tuple(reversed(key)), len(self._number_of))


class _Shelf:
    """The sum of some tables, others that wait to be added to it, and a file with sums of earlier ones."""

    def __init__(self) -> None:
        self._sum = ON_SHELF.empty_table()
        self._waiting: list[pa.Table] = []
        self._num_waiting = 0
        self.num_bytes = 0
        self._file: Path | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._num_waiting += len(table)
        self.num_bytes += table.nbytes
        if self._num_waiting > max(WAITING_COUNTS / NUM_SHELVES, WAITING_SHARE * len(self._sum)):
            self._add_up()

    def empty(self, folder: ExitStack) -> None:
        """What is held goes to the shelf's file, in a folder that goes when the stack does."""
        self._add_up()
        if self._writer is None:
            self._file = Path(folder.enter_context(tempfile.TemporaryDirectory(prefix="nightjar-counts-")), "counts")
            self._writer = folder.enter_context(pa.ipc.new_stream(str(self._file), ON_SHELF))
        self._writer.write_table(self._sum)
        self._sum, self.num_bytes = ON_SHELF.empty_table(), 0

    def total(self) -> pa.Table:
        if self._writer is not None:
            self._writer.close()
            with pa.OSFile(str(self._file)) as file:
                self._waiting.append(pa.ipc.open_stream(file).read_all())
            Path(str(self._file)).unlink()
        self._add_up()
        return self._sum

    def _add_up(self) -> None:
        if self._waiting:
            parts = pa.concat_tables([self._sum, *self._waiting])
            self._sum, self._waiting, self._num_waiting = ON_SHELF.empty_table(), [], 0
            grouped = parts.group_by(["key", "value"]).aggregate([("count", "sum")])
            self._sum = grouped.rename_columns(ON_SHELF.names).cast(ON_SHELF)
            self.num_bytes = self._sum.nbytes


def _by_shelf(table: pa.Table) -> Iterable[tuple[int, pa.Table]]:
    """The table in pieces, which are copies: none keeps the block of Ray's that it came in."""
    shelf_of_row = np.concatenate([*map(_shelves, table.column("value").chunks), np.empty(0, np.uint8)])
    order = np.argsort(shelf_of_row, kind="stable")
    ends = np.cumsum(np.bincount(shelf_of_row, minlength=NUM_SHELVES))
    sorted_rows = table.take(pa.array(order))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end > start:
            yield number, sorted_rows.slice(start, end - start)


def _shelves(values: pa.StringArray) -> NDArray[np.uint8]:
    """The shelf of each value, by its last two bytes; that of null and of shorter texts is one of the others."""
    _, offsets, text = values.buffers()
    if not len(values) or text is None or not text.size:
        return np.zeros(len(values), np.uint8)
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    byte = np.frombuffer(text, np.uint8)
    last, before = byte[ends[1:] - 1], byte[np.maximum(ends[1:] - 2, 0)]  # of a short one any, which is passed over
    is_short = (np.diff(ends) < 2) | values.is_null().to_numpy(zero_copy_only=False)
    shelves: NDArray[np.uint8] = np.where(is_short, 0, (last + 7 * before.astype(np.uint16)) % NUM_SHELVES)
    return shelves.astype(np.uint8)
