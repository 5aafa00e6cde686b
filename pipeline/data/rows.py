"""Encoded rows packed in numpy, as the store keeps them. The legend of shapes stands in `data.batch`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """R encoded rows, packed as tightly as their cells allow."""

    ids: NDArray[np.int32]
    """[N], row by row and within a row field by field."""
    lengths: NDArray[np.uint16] | None = None
    """[R, F] ids of each cell. None: every cell holds exactly one id, and N = R * F."""
    weights: NDArray[np.float32] | None = None
    """[N] x_i of each id. None: all 1."""
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
        take_active = self._taker(order)
        return replace(
            self,
            ids=take_active(self.ids),
            lengths=None if self.lengths is None else self.lengths.take(order, axis=0),
            weights=None if self.weights is None else take_active(self.weights),
            labels=self.labels.take(order),
            row_weights=None if self.row_weights is None else self.row_weights.take(order),
            groups=None if self.groups is None else self.groups.take(order),
        )

    def slice(self, start: int, stop: int) -> Self:
        """Rows start <= i < stop, as views. `stop` may lie beyond the end."""
        stop = min(stop, len(self))
        active = slice(self._row_start(start), self._row_start(stop))
        return replace(
            self,
            ids=self.ids[active],
            lengths=None if self.lengths is None else self.lengths[start:stop],
            weights=None if self.weights is None else self.weights[active],
            labels=self.labels[start:stop],
            row_weights=None if self.row_weights is None else self.row_weights[start:stop],
            groups=None if self.groups is None else self.groups[start:stop],
        )

    @staticmethod
    def concatenate(parts: "Sequence[Rows]") -> "Rows":
        """All rows of one or more parts, in order. Where only some have lengths or weights, the others get ones."""
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
    def _row_starts(self) -> NDArray[np.int64]:
        """[R + 1] where each row's ids start, and where the last one's end."""
        assert self.lengths is not None
        return starts_of(self.lengths.sum(axis=1, dtype=np.int64), np.int64)

    def _row_start(self, row: int) -> int:
        return row * self.num_fields if self.lengths is None else int(self._row_starts[row])

    def _taker(self, order: NDArray[np.integer[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """What takes the rows `order` of an [N] array."""
        if self.lengths is None:
            shape = (len(self), self.num_fields)
            return lambda values: values.reshape(shape).take(order, axis=0).ravel()
        return lambda values: _take_stretches(values, self._row_starts, order)


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


def _join(columns: Sequence[NDArray[Any] | None], shapes: Sequence[tuple[int, ...]]) -> NDArray[Any] | None:
    """The columns one after another, ones of the given shape for each that is None; None if all are."""
    dtypes = [column.dtype for column in columns if column is not None]
    if not dtypes:
        return None
    ones = [np.ones(shape, dtypes[0]) for shape in shapes]
    return np.concatenate([one if column is None else column for column, one in zip(columns, ones, strict=True)])
