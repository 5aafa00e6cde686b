"""Encoded rows as the tensors of one step.

The legend of every shape suffix in the library:

    B  rows of a batch           N  active ids of the batch      K  dimension, the length of v
    F  fields                    U  distinct ids among the N     D  1 + K floats of a table row [w | v]
    C  cells, B * F              n  ids in all, rows of the table

A cell is one field of one row. It holds a bag of ids with weights x_i: exactly one id of weight 1 where the field is a
plain column, any number, also none, where it is multi-valued.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from pipeline.data.rows import Rows

SCORED_ROWS = 4096  # of a batch that is only scored; bits may depend on it, so all who score use the same


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

    @staticmethod
    def of(rows: Rows, start: int, stop: int) -> "Batch":
        """Rows start <= i < stop as tensors that view their arrays. `stop` may lie beyond the end."""
        stop = min(stop, len(rows))
        active, offsets_C = slice(start * rows.num_fields, stop * rows.num_fields), None
        if rows.cell_starts is not None:
            cells = active
            active = slice(int(rows.cell_starts[cells.start]), int(rows.cell_starts[cells.stop]))
            offsets_C = rows.cell_starts[cells] - np.int32(active.start)
        return Batch(
            ids_N=_view(rows.ids[active]),
            offsets_C=None if offsets_C is None else _view(offsets_C),
            weights_N=None if rows.id_weights is None else _view(rows.id_weights[active]),
            labels_B=_view(rows.labels[start:stop]),
            row_weights_B=None if rows.row_weights is None else _view(rows.row_weights[start:stop]),
            num_fields=rows.num_fields,
        )

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
        """To a GPU without waiting for the copy, where the memory is pinned."""
        return self._each(lambda values: values.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(
            self,
            ids_N=change(self.ids_N),
            offsets_C=None if self.offsets_C is None else change(self.offsets_C),
            weights_N=None if self.weights_N is None else change(self.weights_N),
            labels_B=change(self.labels_B),
            row_weights_B=None if self.row_weights_B is None else change(self.row_weights_B),
        )


def _view(array: NDArray[Any]) -> Tensor:
    """As a tensor, uncopied. Unlike from_numpy, DLPack takes an array over read-only Arrow memory without a warning."""
    return from_dlpack(array)
