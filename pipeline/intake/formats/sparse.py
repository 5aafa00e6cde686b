"""Lines of libsvm and of libffm, taken apart: a label, then features, each whole numbers and a value between colons."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.intake.blocks import Marks
from pipeline.intake.text_rows import Layout, Mask, Reason, TextRows, are_no_numbers, shown, value_reason

LINE, LABEL = "line", "label"
LAYOUT = Layout({LINE: pa.string()}, Marks("\x01"))  # which stands in no line: each is one value
LABELS = {"0": 0, "1": 1, "+1": 1, "-1": 0, "0.0": 0, "1.0": 1, "+1.0": 1, "-1.0": 0}
INDEX = r"^\d{1,18}$"


@dataclass(frozen=True, slots=True)
class Features:
    """The features of some rows, one after another."""

    rows: TextRows
    """With the column LABEL alone, 0 or 1."""
    row_of: NDArray[np.int64]
    """Of each feature, the place of its row among these."""
    numbers: tuple[NDArray[np.int64], ...]
    """Of each feature those before its value: its index, or its field and its index."""
    values: NDArray[np.float64]

    def without(self, is_bad: Mask, reason: Callable[[int], str]) -> "Features":
        """Leave out the rows of some features; the reason is of the first of those in a row."""
        if not is_bad.any():
            return self
        kept = ~_rows_with(is_bad, self.row_of, len(self.rows.table))
        first = _first(is_bad, self.row_of)
        rows = self.rows.without(~kept, lambda row: reason(first[row]))
        is_kept, places = kept[self.row_of], np.cumsum(kept) - 1
        numbers = tuple(column[is_kept] for column in self.numbers)
        return Features(rows, places[self.row_of[is_kept]], numbers, self.values[is_kept])


def parse(rows: TextRows, shape: str) -> Features:
    """Take lines apart, whose features are of this shape, `index:value` or `field:index:value`; # begins a comment.

    Rows of another shape are left out.
    """
    is_comment = pc.match_substring_regex(rows.table.column(LINE), r"^\s*#").to_numpy()
    rows = rows.dropping(is_comment) if is_comment.any() else rows
    while True:
        words = _Words.of(rows, shape)
        trouble = words.trouble()
        if trouble is None:
            return words.features(rows)
        rows = rows.without(*trouble)


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of lines: of each the first one, and the others one after another."""

    shape: str
    labels: pa.Array
    others: pa.Array
    row_of: NDArray[np.int64]

    @classmethod
    def of(cls, rows: TextRows, shape: str) -> "_Words":
        lines = rows.table.column(LINE).combine_chunks()
        if pc.any(pc.match_substring(lines, "#")).as_py():
            lines = pc.replace_substring_regex(lines, "#.*$", "")
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(lines))
        sizes = pc.list_value_length(words).to_numpy(zero_copy_only=False)
        starts, every = np.cumsum(sizes) - sizes, words.flatten()
        is_other = np.ones(len(every), bool)
        is_other[starts] = False
        row_of = np.repeat(np.arange(len(lines)), sizes - 1)
        return cls(shape, every.take(pa.array(starts)), every.filter(pa.array(is_other)), row_of)

    def trouble(self) -> tuple[Mask, Reason] | None:
        """Which rows have a label that is none, or else a feature of another shape, and why; None: no row has."""
        is_none = pc.invert(pc.is_in(self.labels, pa.array(list(LABELS)))).to_numpy(zero_copy_only=False)
        if is_none.any():
            return is_none, lambda row: value_reason(self.labels, row, LABEL, "0, 1, +1 or -1")
        is_bad = pc.not_equal(pc.count_substring(self.others, ":"), self.shape.count(":")).to_numpy(
            zero_copy_only=False
        )
        if not is_bad.any():
            *numbers, values = self._columns()
            is_bad = are_no_numbers(values)
            for column in numbers:
                is_bad |= ~_match(column, INDEX)
        if not is_bad.any():
            return None
        first = _first(is_bad, self.row_of)
        return _rows_with(
            is_bad, self.row_of, len(self.labels)
        ), lambda row: f"{shown(self.others[first[row]].as_py())}, where {self.shape} is expected"

    def features(self, rows: TextRows) -> Features:
        """Of words without trouble."""
        *numbers, values = self._columns()
        places = pc.index_in(self.labels, pa.array(list(LABELS))).to_numpy(zero_copy_only=False)
        return Features(
            rows.having(pa.table({LABEL: np.array([*LABELS.values()], np.int8)[places]})),
            self.row_of,
            tuple(column.cast(pa.int64()).to_numpy(zero_copy_only=False) for column in numbers),
            values.cast(pa.float64()).to_numpy(zero_copy_only=False),
        )

    def _columns(self) -> list[pa.Array]:
        """What stands before, between and behind the colons, of features that have as many as their shape."""
        width = self.shape.count(":") + 1
        parts = pc.split_pattern(self.others, ":").flatten()
        return [parts.take(pa.array(np.arange(place, len(parts), width))) for place in range(width)]


def _match(text: pa.Array, pattern: str) -> Mask:
    return np.array(pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False))


def _rows_with(is_bad: Mask, row_of: NDArray[np.int64], num_rows: int) -> Mask:
    return np.bincount(row_of[is_bad], minlength=num_rows) > 0


def _first(is_bad: Mask, row_of: NDArray[np.int64]) -> dict[int, int]:
    """Row -> its first bad feature."""
    return {int(row_of[feature]): int(feature) for feature in np.flatnonzero(is_bad)[::-1]}
