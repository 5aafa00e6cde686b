"""Encoded rows packed in numpy, as the store keeps them. The legend of shapes stands in `data.batch`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Stretches(NamedTuple):
    """Where the values of each of R rows lie in an array that has those of all, one row's after another's."""

    width: int
    """How many each row has, where there are no `starts`."""
    starts: NDArray[np.int64] | None
    """[R + 1] where each row's start, and where the last one's end. None: all rows have as many."""

    def start(self, row: int) -> int:
        return row * self.width if self.starts is None else int(self.starts[row])

    def take(self, values: NDArray[Any], order: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Those of the rows `order`, copied."""
        if self.starts is None:
            return values.reshape(-1, self.width).take(order, axis=0).ravel()
        return _take_stretches(values, self.starts, order)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """R encoded rows, packed as tightly as their cells allow: what is the same in every row is not kept with each."""

    ids: NDArray[np.int32]
    """[N], row by row and within a row field by field."""
    lengths: NDArray[np.uint16] | None = None
    """[R, L] ids of each cell of `list_fields`. None: every cell holds exactly one id, and N = R * F."""
    list_fields: tuple[int, ...] | None = None
    """The fields, ascending, whose cells may hold any number of ids; those of the others hold one. None: all."""
    weights: NDArray[np.float32] | None = None
    """[R, W] x_i of all ids of each cell of `weighted_fields`, or else [N] of each id. None: all 1."""
    weighted_fields: tuple[int, ...] | None = None
    """The fields, ascending, whose ids may weigh something else than 1, those of a cell alike. None: all, each id."""
    labels: NDArray[np.float32]
    """[R], 1 a click, 0 none."""
    row_weights: NDArray[np.float32] | None = None
    """[R] weight of each row in loss and metrics. None: all 1."""
    groups: NDArray[np.int64] | None = None
    """[R] what metrics within a group go by. None: no groups."""
    num_fields: int

    def __post_init__(self) -> None:
        assert self.lengths is not None or len(self.ids) == len(self) * self.num_fields

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, order: NDArray[np.integer[Any]]) -> Self:
        """Row order[i] of these as the i-th of the new ones: a permutation or a selection, copied."""
        assert np.issubdtype(order.dtype, np.integer), "a mask would silently be read as rows 0 and 1"
        return replace(
            self,
            ids=self.of_ids.take(self.ids, order),
            lengths=None if self.lengths is None else self.lengths.take(order, axis=0),
            weights=None if self.weights is None else self._take_weights(self.weights, order),
            labels=self.labels.take(order),
            row_weights=None if self.row_weights is None else self.row_weights.take(order),
            groups=None if self.groups is None else self.groups.take(order),
        )

    def slice(self, start: int, stop: int) -> Self:
        """Rows start <= i < stop, as views. `stop` may lie beyond the end."""
        stop = min(stop, len(self))
        active = slice(self.of_ids.start(start), self.of_ids.start(stop))
        of_weights = active if self.weighted_fields is None else slice(start, stop)
        return replace(
            self,
            ids=self.ids[active],
            lengths=None if self.lengths is None else self.lengths[start:stop],
            weights=None if self.weights is None else self.weights[of_weights],
            labels=self.labels[start:stop],
            row_weights=None if self.row_weights is None else self.row_weights[start:stop],
            groups=None if self.groups is None else self.groups[start:stop],
        )

    def in_full(self) -> Self:
        """The same rows, with the lengths and the weights of all fields, where there are any."""
        return replace(self, lengths=self.cell_lengths, list_fields=None, weights=self.id_weights, weighted_fields=None)

    @cached_property
    def cell_lengths(self) -> NDArray[np.uint16] | None:
        """[R, F] ids of each cell. None: one."""
        if self.lengths is None or self.list_fields is None:
            return self.lengths
        lengths = np.ones((len(self), self.num_fields), np.uint16)
        lengths[:, self.list_fields] = self.lengths
        return lengths

    @cached_property
    def cell_starts(self) -> NDArray[np.int32] | None:
        """[R * F + 1] where each cell's ids start, and where the last one's end. None: every cell has one."""
        if self.cell_lengths is None:
            return None
        assert len(self.ids) < 2**31
        return starts_of(self.cell_lengths.ravel(), np.int32)

    @cached_property
    def id_weights(self) -> NDArray[np.float32] | None:
        """[N] x_i of each id. None: all are 1."""
        if self.weights is None or self.weighted_fields is None:
            return self.weights
        weights = np.ones((len(self), self.num_fields), np.float32)
        weights[:, self.weighted_fields] = self.weights
        return weights.ravel() if self.cell_lengths is None else weights.ravel().repeat(self.cell_lengths.ravel())

    @staticmethod
    def concatenate(parts: "Sequence[Rows]") -> "Rows":
        """All rows of one or more parts, in order. Where only some have lengths or weights, the others get ones."""
        if len(parts) == 1:
            return parts[0]
        if len({part._layout for part in parts}) > 1:
            parts = [part.in_full() for part in parts]
        sizes = [len(part) for part in parts]
        groups = [part.groups for part in parts if part.groups is not None]
        assert len(groups) in (0, len(parts)), "some parts have groups, others none"
        return replace(
            parts[0],
            ids=np.concatenate([part.ids for part in parts]),
            lengths=_join([part.lengths for part in parts], [(size, parts[0].num_fields) for size in sizes]),
            weights=_join([part.weights for part in parts], [(len(part.ids),) for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            row_weights=_join([part.row_weights for part in parts], [(size,) for size in sizes]),
            groups=np.concatenate(groups) if groups else None,
        )

    @cached_property
    def of_ids(self) -> Stretches:
        """Where each row's ids are."""
        if self.lengths is None:
            return Stretches(self.num_fields, None)
        num_lists = self.lengths.shape[1]
        counts = np.full(len(self), self.num_fields - num_lists, np.int64)
        for of_field in range(num_lists):
            counts += self.lengths[:, of_field]
        return Stretches(self.num_fields, starts_of(counts, np.int64))

    def _take_weights(self, weights: NDArray[np.float32], order: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        return self.of_ids.take(weights, order) if self.weighted_fields is None else weights.take(order, axis=0)

    @property
    def _layout(self) -> tuple[Any, ...]:
        return (self.lengths is None, self.list_fields, self.weights is None, self.weighted_fields)


def _take_stretches(values: NDArray[Any], starts: NDArray[np.int64], order: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """values[starts[i]:starts[i + 1]] of each i of `order`: as Arrow's binary values, in half of numpy's time."""
    buffers = [None, pa.py_buffer(starts * values.itemsize), pa.py_buffer(np.ascontiguousarray(values))]
    taken = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts) - 1, buffers).take(pa.array(order))
    data, num_bytes = taken.buffers()[2], np.frombuffer(taken.buffers()[1], np.int64)[len(order)]
    return np.frombuffer(data, values.dtype, num_bytes // values.itemsize) if num_bytes else values[:0]


def starts_of(lengths: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """[m] -> [m + 1]: where each of m consecutive stretches starts, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=starts[1:])
    return starts


def ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.int64]:
    """start, start + 1, ..., start + length - 1 of every pair, one after another."""
    before = np.cumsum(lengths, dtype=np.int64) - lengths
    found: NDArray[np.int64] = np.arange(int(lengths.sum(dtype=np.int64))) + np.repeat(starts - before, lengths)
    return found


def _join(columns: Sequence[NDArray[Any] | None], shapes: Sequence[tuple[int, ...]]) -> NDArray[Any] | None:
    """The columns one after another, ones of the given shape for each that is None; None if all are."""
    dtypes = [column.dtype for column in columns if column is not None]
    if not dtypes:
        return None
    ones = [np.ones(shape, dtypes[0]) for shape in shapes]
    return np.concatenate([one if column is None else column for column, one in zip(columns, ones, strict=True)])
