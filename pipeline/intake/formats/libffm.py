"""libffm's lines, `label field:index:value ...`: a column a field, of one id, of a list of ids, or of numbers.

Which of them a field is, and how many there are, its first rows tell (`look`).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.intake import text_rows
from pipeline.intake.blocks import Encoding, blocks
from pipeline.intake.formats.form import ROW_ID, LogRows
from pipeline.intake.formats.sparse import LABEL, LAYOUT, Features, parse
from pipeline.intake.known_spec import Group, Spec
from pipeline.intake.sources import Source
from pipeline.intake.text_rows import Layout, Mask, TextRows
from schemas.errors import Refusal

SHAPE = "field:index:value"
MOST_FIELDS = 10_000
FieldKind = Literal["id", "ids", "number"]


@dataclass(frozen=True, slots=True)
class LibFFM:
    """Files of so many fields."""

    kinds: tuple[FieldKind, ...]
    """Of each field. `id`: at most one index a row, of value 1 or 0; `ids`: several; `number`: a value of one index."""
    name: ClassVar[str] = "libffm"
    label: ClassVar[str] = LABEL
    timezone_of_days: ClassVar[None] = None
    header: ClassVar[tuple[str, ...]] = ()
    encoding: ClassVar[Encoding] = "utf-8"
    has_row_ids: ClassVar[bool] = True
    layout: ClassVar[Layout] = LAYOUT

    @property
    def spec(self) -> Spec:
        names = {
            kind: [column(k) for k, own in enumerate(self.kinds) if own == kind] for kind in ("id", "ids", "number")
        }
        counted = "type: vocabulary, min_count: {min_count}"
        rare = "One seen in fewer than `min_count` rows shares the unknown row with those never seen."
        groups = [
            Group(f"An id a row. {rare}", names["id"], "categorical", counted),
            Group(f"A list of ids a row. {rare}", names["ids"], "multi_valued", counted),
            Group("Numbers, in buckets of about as many rows each.", names["number"], "numeric"),
        ]
        return Spec(
            "A log of libffm's lines: a column a field.",
            LABEL,
            ROW_ID,
            "line of the file, and 10^12 times the file's place",
            [group for group in groups if group.names],
        )

    def to_log(self, rows: TextRows) -> LogRows:
        """LABEL and a column a field, null or an empty list where a row has nothing of it."""
        found = self._checked(parse(rows, SHAPE))
        table = found.rows.table
        for field, own in enumerate(_by_field(found, len(self.kinds))):
            table = table.append_column(column(field), _column(self.kinds[field], own, len(table)))
        return LogRows(found.rows.having(table))

    def _checked(self, found: Features) -> Features:
        """Without the rows that have a field too many, several of one, or a value of what is an id."""
        num_fields = len(self.kinds)
        field, _ = found.numbers
        found = found.without(
            field >= num_fields,
            lambda feature: (
                f"field {field[feature]}, where the first rows have {num_fields} fields: --fields says more"
            ),
        )
        field, values = found.numbers[0], found.values
        is_id = np.isin(field, [k for k, kind in enumerate(self.kinds) if kind != "number"])
        found = found.without(
            is_id & ~np.isin(values, (0.0, 1.0)),
            lambda feature: f"a value of field {field[feature]} is {values[feature]:g}, where 0 or 1 is expected",
        )
        field = found.numbers[0]
        is_second = _is_second(found) & np.isin(field, [k for k, kind in enumerate(self.kinds) if kind != "ids"])
        return found.without(
            is_second,
            lambda feature: f"field {field[feature]} twice, which the first rows have once: --lists takes several",
        )


@dataclass(frozen=True, slots=True)
class _Own:
    """One field's features: rows, in their order, indices and values."""

    rows: NDArray[np.int64]
    index: NDArray[np.int64]
    values: NDArray[np.float64]


def column(field: int) -> str:
    """What a field is called in the log."""
    return f"field_{field}"


def look(source: Source, num_fields: int | None = None, *, are_lists: bool = False) -> LibFFM:
    """The format of files that begin like this one; of more fields if that is said, and of lists of ids alone.

    Raises Refusal where the first rows have no feature, or a field of a number that can be none, and for more fields.
    """
    if num_fields is not None and num_fields > MOST_FIELDS:
        raise _refusal(f"{num_fields:,} fields", "--fields", f"name how many fields there are, at most {MOST_FIELDS:,}")
    first = next(blocks(source, LAYOUT.marks), None)
    found = parse(text_rows.read(first, LAYOUT), SHAPE) if first else None
    if found is None or not len(found.values):
        raise _refusal("no row of label field:index:value", source.uri, "name files of libffm's format")
    most = int(found.numbers[0].max()) + 1
    if most > MOST_FIELDS:
        raise _refusal(f"field {most - 1}", source.uri, f"number fields from 0 on, below {MOST_FIELDS:,}")
    several = {*found.numbers[0][_is_second(found)].tolist()}
    kinds = [_kind(own, is_several=field in several) for field, own in enumerate(_by_field(found, most))]
    if are_lists:
        kinds = ["number" if kind == "number" else "ids" for kind in kinds]
    others: FieldKind = "ids" if are_lists else "id"
    return LibFFM((*kinds, *[others] * ((num_fields or most) - most)))


def _by_field(found: Features, num_fields: int) -> list[_Own]:
    """The features of each field, in the order of the rows."""
    order = np.argsort(found.numbers[0], kind="stable")
    bounds = np.searchsorted(found.numbers[0][order], np.arange(num_fields + 1))
    own = [order[begin:end] for begin, end in pairwise(bounds)]
    return [_Own(found.row_of[at], found.numbers[1][at], found.values[at]) for at in own]


def _kind(own: _Own, *, is_several: bool) -> FieldKind:
    if is_several:
        return "ids"
    return "number" if len(np.unique(own.index)) == 1 and not np.isin(own.values, (0.0, 1.0)).all() else "id"


def _is_second(found: Features) -> Mask:
    """Which features are of a field that their row has had before."""
    key = found.row_of * (int(found.numbers[0].max(initial=0)) + 1) + found.numbers[0]
    is_second = np.ones(len(key), bool)
    is_second[np.unique(key, return_index=True)[1]] = False
    return is_second


def _column(kind: FieldKind, own: _Own, num_rows: int) -> pa.Array:
    """Of a field's features, a value a row: an id is there where its value is 1."""
    is_there = np.ones(len(own.rows), bool) if kind == "number" else own.values == 1.0
    rows, index = own.rows[is_there], own.index[is_there]
    if kind == "ids":
        sizes = np.bincount(rows, minlength=num_rows)
        return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(sizes)), pa.int32()), pa.array(index))
    cells, is_missing = np.zeros(num_rows, np.float64 if kind == "number" else np.int64), np.ones(num_rows, bool)
    cells[rows], is_missing[rows] = own.values if kind == "number" else index, False
    return pa.array(cells, mask=is_missing)


def _refusal(found: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=f"lines of label {SHAPE} ..., fields from 0 on", where=where, remedy=remedy)
