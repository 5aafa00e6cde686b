"""The held-out rows by the values of a column: how the candidate does in each, beside the champion."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import Bootstrap, Comparison, compare
from pipeline.evaluation.evidence import Slice
from pipeline.evaluation.objectives import sums_of
from pipeline.evaluation.row_sums import Metrics
from schemas.click_log import CATEGORY
from schemas.errors import Refusal
from schemas.features import Objective

MAX_SLICES = 50  # a column; the largest
MISSING = "missing"  # the slice of the rows whose value is null


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Candidate and champion, where there is one, on the same n rows; all arrays [n], logits of classes [n, C]."""

    logits: NDArray[Any]
    champion_logits: NDArray[Any] | None
    labels: NDArray[Any]
    weights: NDArray[Any] | None = None
    objective: Objective = "binary"

    def take(self, rows: NDArray[np.int64]) -> "Pair":
        """The scores of these row numbers alone."""
        champion_logits = None if self.champion_logits is None else self.champion_logits[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Pair(self.logits[rows], champion_logits, self.labels[rows], weights, self.objective)

    def metrics(self) -> tuple[Metrics, Metrics | None]:
        """What the candidate's rows add up to, and the champion's."""
        kind, champion = sums_of(self.objective), None
        if self.champion_logits is not None:
            champion = kind.of(self.champion_logits, self.labels, self.weights).metrics()
        return kind.of(self.logits, self.labels, self.weights).metrics(), champion

    def change(self, draws: Bootstrap) -> Comparison | None:
        """The candidate's metrics minus the champion's; None without a champion."""
        if self.champion_logits is None:
            return None
        return compare(self.logits, self.champion_logits, self.labels, self.weights, draws, self.objective)


def slices(columns: pa.Table, pair: Pair, min_rows: int, draws: Bootstrap) -> tuple[Slice, ...]:
    """Each value with at least `min_rows` rows of each of the `columns` of the pair's rows, by falling rows.

    Columns are strings, integers, booleans or dictionaries of them; rows are counted one each, whatever their weight.
    A column costs one bootstrap of all rows and up to MAX_SLICES of the histograms; see `compare`.
    Raises Refusal for a column of another type and ValueError for what `compare` refuses.
    """
    for name in columns.column_names:
        assert len(columns.column(name)) == len(pair.labels), "one row of the columns for each label"
        _refuse_unless_categorical(name, columns.column(name).type)
    found = []
    for name in columns.column_names:
        for value, rows in _largest(columns.column(name), min_rows):
            own = pair.take(rows)
            change = own.change(draws)
            found.append(Slice(name, value, len(rows), *own.metrics(), None if change is None else change.ne))
    return tuple(found)


def _largest(column: pa.ChunkedArray, min_rows: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(value, its row numbers, rising), by falling rows and among equals by first row."""
    if pt.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    values = pc.fill_null(pc.cast(encoded.dictionary, pa.string()), MISSING).to_pylist()
    counts = np.bincount(codes, minlength=len(values))
    rows_by_code = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if len(values) else []
    for code in np.argsort(-counts, kind="stable")[:MAX_SLICES]:
        if counts[code] >= min_rows:
            yield values[code], rows_by_code[code]


def _refuse_unless_categorical(name: str, kind: pa.DataType) -> None:
    if not CATEGORY.is_right(kind) or pt.is_floating(kind.value_type if pt.is_dictionary(kind) else kind):
        raise Refusal(
            found=f"column {name!r} of type {kind}",
            expected=f"{CATEGORY.in_words}, whose every value is a slice",
            where="night.gate.slices",
            remedy=f"take {name!r} from the list, or write a column of its buckets into the log",
        )
