"""Encoded rows: packed in numpy, as the store keeps them (Rows), and as tensors, for one step (Batch).

The legend of every shape suffix in the library:

    B  rows of a batch           N  active ids of the batch      K  dimension, the length of v
    F  fields                    U  distinct ids among the N     D  1 + K floats of a table row [w | v]
    C  cells, B * F              n  ids in all, rows of the table

A cell is one field of one row. It holds a bag of ids with weights x_i: exactly one id of weight 1 where the field is a
plain column, any number, also none, where it is multi-valued.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """The rows of one step. The tensors may share memory with a read-only store: never write into them."""

    ids_N: Tensor
    """int32, row by row and within a row field by field."""
    offsets_C: Tensor | None = None
    """int32 start of each cell's bag in ids_N. None: every cell holds exactly one id, and N = C."""
    weights_N: Tensor | None = None
    """float32 x_i of each active id. None: all 1."""
    labels_B: Tensor
    """float32, 1 a click, 0 none."""
    row_weights_B: Tensor | None = None
    """float32 weight of each row in the loss. None: all 1."""
    num_fields: int

    @property
    def num_rows(self) -> int:
        return len(self.labels_B)

    def cells_N(self) -> Tensor | None:
        """int32 cell (row * F + field) of each active id. None: the i-th id is the one of cell i."""
        if self.offsets_C is None:
            return None
        # The cell of id i is the number of cells, but for the first, that start at or before i. Counting them is five
        # times as fast as repeat_interleave; cells that start at N are empty ones at the end.
        num_ids = len(self.ids_N)
        starting_N = torch.bincount(self.offsets_C[1:], minlength=num_ids)[:num_ids]
        return starting_N.cumsum(0, dtype=torch.int32)

    def to(self, device: torch.device | str) -> Self:
        return replace(
            self,
            ids_N=self.ids_N.to(device),
            offsets_C=None if self.offsets_C is None else self.offsets_C.to(device),
            weights_N=None if self.weights_N is None else self.weights_N.to(device),
            labels_B=self.labels_B.to(device),
            row_weights_B=None if self.row_weights_B is None else self.row_weights_B.to(device),
        )


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

    def batch(self, start: int, stop: int) -> Batch:
        """Rows start <= i < stop as tensors that view these arrays. `stop` may lie beyond the end."""
        rows = self.slice(start, stop)
        return Batch(
            ids_N=_view(rows.ids),
            offsets_C=None if rows.lengths is None else _view(_starts(rows.lengths.ravel(), np.int32)[:-1]),
            weights_N=None if rows.weights is None else _view(rows.weights),
            labels_B=_view(rows.labels),
            row_weights_B=None if rows.row_weights is None else _view(rows.row_weights),
            num_fields=self.num_fields,
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
        return _starts(self.lengths.sum(axis=1, dtype=np.int64), np.int64)

    def _row_start(self, row: int) -> int:
        return row * self.num_fields if self.lengths is None else int(self._row_starts[row])

    def _taker(self, order: NDArray[np.integer[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """What takes the rows `order` of an [N] array."""
        if self.lengths is None:
            shape = (len(self), self.num_fields)
            return lambda values: values.reshape(shape).take(order, axis=0).ravel()
        old_starts = self._row_starts[order]
        counts = self._row_starts[order + 1] - old_starts
        new_starts = _starts(counts, np.int64)
        positions = np.arange(new_starts[-1]) + (old_starts - new_starts[:-1]).repeat(counts)
        return lambda values: values.take(positions)


def _starts(lengths: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
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


def _view(array: NDArray[Any]) -> Tensor:
    """As a tensor, uncopied. Unlike from_numpy, DLPack takes an array over read-only Arrow memory without a warning."""
    return from_dlpack(array)
