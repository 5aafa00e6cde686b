"""What a sample shows of one column: its type, how many values, which, and what kind of values they are."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from pipeline.data import columns
from schemas.click_log import is_list, is_text
from schemas.redaction import redacted

MOST_EXAMPLES = 3
EXAMPLE_CHARACTERS = 24
UNIQUE_SHARE = 0.999  # of the values that are there: one key in a thousand may have come twice
TIME = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?([T ]\d\d?:\d\d(:\d\d(\.\d+)?)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?")
EPOCHS = ((1e8, 2.2e9), (1e11, 2.2e12), (1e14, 2.2e15), (1e17, 2.2e18))  # from 1973 on, in s, ms, us and ns
TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|datetime|date|at|epoch)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a sample."""

    name: str
    values: pa.ChunkedArray

    @property
    def kind(self) -> pa.DataType:
        return self.values.type.value_type if pt.is_dictionary(self.values.type) else self.values.type

    @property
    def has_lists(self) -> bool:
        return is_list(self.kind)

    @property
    def is_readable(self) -> bool:
        """Whether its values, or those of its lists, can be told apart as text, numbers or booleans."""
        element = self.kind.value_type if self.has_lists else self.kind
        element = element.value_type if pt.is_dictionary(element) else element
        if is_text(element):
            return bool(columns.is_utf8(self._elements).all())
        is_number = pt.is_integer(element) or pt.is_floating(element) or (pt.is_decimal(element) and not self.has_lists)
        return bool(is_number or pt.is_boolean(element) or pt.is_null(element))

    @cached_property
    def plain(self) -> pa.ChunkedArray:
        """Its readable values, of lists those within them, as text, numbers or booleans; NaN is null."""
        values = columns.decoded(self._elements)
        if pt.is_floating(values.type) or pt.is_decimal(values.type):
            numbers = values.cast(pa.float64())
            return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
        return values.cast(pa.large_string()) if is_text(values.type) else values

    @cached_property
    def counts(self) -> pa.Table:
        """value, count: the commonest first; nulls are not counted."""
        counted = pc.value_counts(self.plain.drop_null())
        table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
        return table.sort_by([("count", "descending")])

    @property
    def null_share(self) -> float:
        """Of rows; of lists, those that are null or empty."""
        if self.has_lists:
            return 1 - float(pc.mean(pc.greater(pc.list_value_length(self.values).fill_null(0), 0)).as_py() or 0)
        values = self.plain if self.is_readable else self.values
        return float(values.null_count) / max(1, len(values))

    @property
    def num_distinct(self) -> int:
        return len(self.counts)

    @property
    def is_unique(self) -> bool:
        """No value comes twice, or hardly any; a few rows can't show that."""
        present = len(self.plain) - self.plain.null_count
        return bool(present > 1 and self.num_distinct >= UNIQUE_SHARE * present)

    @property
    def is_key(self) -> bool:
        """Every row has a value that no other has."""
        return not self.has_lists and self.num_distinct == len(self.values)

    @cached_property
    def is_whole(self) -> bool:
        """Integers, also those that became floats where nulls are among them, as long as they are told apart there."""
        values = columns.decoded(self._elements)
        if pt.is_floating(values.type):
            return self.num_distinct > 0 and bool(pc.all(columns.is_whole(values)).as_py())
        return bool(pt.is_integer(values.type))

    @cached_property
    def counts_rows(self) -> bool:
        """Whole numbers that rise by one from row to row, as the number of a row does, or nearly all do."""
        if not self.is_whole or self.has_lists:
            return False
        steps = pc.pairwise_diff(self.plain.combine_chunks().cast(pa.int64()))
        return bool((pc.mean(pc.equal(steps, 1)).as_py() or 0) > 0.9)

    @property
    def is_number(self) -> bool:
        return bool(pt.is_integer(self.plain.type) or pt.is_floating(self.plain.type))

    @property
    def is_text(self) -> bool:
        return bool(pt.is_large_string(self.plain.type))

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """Those of a column of numbers that are there."""
        found: NDArray[np.float64] = self.plain.drop_null().cast(pa.float64(), safe=False).to_numpy()
        return found

    @property
    def numbers_or_booleans(self) -> NDArray[np.float64]:
        """The same, where it may hold booleans, 1 for true."""
        return self.numbers if self.is_number else self.plain.drop_null().cast(pa.float64()).to_numpy()

    @cached_property
    def is_time(self) -> bool:
        """A moment: by its type, by how its text is written, or seconds since 1970 under the name of a time."""
        if pt.is_temporal(self.kind):
            return True
        if not self.is_readable or self.has_lists or not self.num_distinct:
            return False
        if self.is_text:
            return all(TIME.fullmatch(text) for text in self.counts["value"].slice(0, 1000).to_pylist())
        if not self.is_whole or not TIME_NAME.search(self.name):
            return False
        low, high = self.numbers.min(), self.numbers.max()
        return any(first <= low and high <= last for first, last in EPOCHS)

    @property
    def examples(self) -> str:
        """Its commonest values, as a comment shows them: on one line, none of them long, no secret among them."""
        values = self.counts["value"].slice(0, MOST_EXAMPLES).to_pylist()
        return ", ".join(map(_shown, values))

    @property
    def _elements(self) -> pa.ChunkedArray:
        if not self.has_lists:
            return self.values
        flat = pc.list_flatten(columns.lists(self.values))
        return flat if isinstance(flat, pa.ChunkedArray) else pa.chunked_array([flat])


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    text = "".join(sign if sign.isprintable() else "?" for sign in redacted(value))
    return f'"{text[:EXAMPLE_CHARACTERS]}{"..." * (len(text) > EXAMPLE_CHARACTERS)}"'
