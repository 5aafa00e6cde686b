"""libsvm's lines, `label index:value ...`, of features that are there or not: a row's indices are one list of ids."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pipeline.intake.blocks import Encoding
from pipeline.intake.formats.form import ROW_ID, LogRows
from pipeline.intake.formats.sparse import LABEL, LAYOUT, parse
from pipeline.intake.known_spec import Group, Spec
from pipeline.intake.text_rows import Layout, TextRows

FEATURES = "features"
SPEC = Spec(
    "A log of libsvm's lines: which features a row has, by their indices.",
    LABEL,
    ROW_ID,
    "line of the file, and 10^12 times the file's place",
    [
        Group(
            "Ids, a list a row. One seen in fewer than `min_count` rows shares the unknown row with those never seen.",
            [FEATURES],
            "multi_valued",
            "type: vocabulary, min_count: {min_count}",
        )
    ],
)


@dataclass(frozen=True, slots=True)
class LibSVM:
    """The format, where values are 0 and 1. An index may be 0."""

    name: ClassVar[str] = "libsvm"
    label: ClassVar[str] = LABEL
    timezone_of_days: ClassVar[None] = None
    header: ClassVar[tuple[str, ...]] = ()
    encoding: ClassVar[Encoding] = "utf-8"
    has_row_ids: ClassVar[bool] = True
    spec: ClassVar[Spec] = SPEC
    layout: ClassVar[Layout] = LAYOUT

    def to_log(self, rows: TextRows) -> LogRows:
        """LABEL and FEATURES, the indices whose value is 1; other values than 0 and 1 no id can stand for."""
        found = parse(rows, "index:value")
        (index,), values = found.numbers, found.values
        found = found.without(
            ~np.isin(values, (0.0, 1.0)),
            lambda feature: f"the value of {index[feature]} is {values[feature]:g}, where 0 or 1 is expected",
        )
        (index,), is_there = found.numbers, found.values == 1.0
        sizes = np.bincount(found.row_of[is_there], minlength=len(found.rows.table))
        lists = pa.ListArray.from_arrays(
            pa.array(np.append(0, np.cumsum(sizes)), pa.int32()), pa.array(index[is_there])
        )
        return LogRows(found.rows.having(found.rows.table.append_column(FEATURES, lists)))
