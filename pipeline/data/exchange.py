"""One field's cells taken from other rows, all else as it was: on rows that are encoded already."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.rows import Rows, Stretches


class Exchange:
    """R rows, and D donors of cells, which the same encoder has encoded; they may be the rows themselves.

    Encoding looks at one cell at a time, so that these are the rows of a log whose column was exchanged before it was
    encoded.
    """

    def __init__(self, rows: Rows, donors: Rows) -> None:
        pool = Rows.concatenate([replace(one, row_weights=None, groups=None) for one in (rows, donors)])
        starts = pool.cell_starts
        self._rows, self._ids = rows, pool.ids
        self._of_cells = Stretches(1, None if starts is None else starts.astype(np.int64))
        self._lengths, self._weights = pool.cell_lengths, pool.id_weights

    def of_field(self, field: int, order: NDArray[np.integer]) -> Rows:
        """The rows, but for the cell of that field: the i-th row has that of donor order[i].  order [R]. Copied."""
        rows, of_cells = self._rows, self._of_cells
        cells = np.arange(len(rows) * rows.num_fields).reshape(-1, rows.num_fields)
        cells[:, field] = (len(rows) + order) * rows.num_fields + field
        chosen = cells.ravel()
        lengths = None if self._lengths is None else self._lengths.ravel().take(chosen).reshape(cells.shape)
        return replace(
            rows,
            ids=of_cells.take(self._ids, chosen),
            lengths=lengths,
            list_fields=None,
            weights=None if self._weights is None else of_cells.take(self._weights, chosen),
            weighted_fields=None,
        )
