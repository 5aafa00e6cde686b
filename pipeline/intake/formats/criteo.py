"""Criteo's logs of display ads: tab-separated, no header; label, 13 numbers, 26 ids in hex, which may all be empty.

So are the files of the Kaggle challenge of 2014 (`train.txt`, rows in the order of time) and those of the Terabyte
click logs (`day_0` to `day_23`). Columns are called as in the challenge: I1 to I13, C1 to C26.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.intake.blocks import Encoding, Marks
from pipeline.intake.formats.form import ROW_ID, LogRows
from pipeline.intake.known_spec import Group, Spec
from pipeline.intake.text_rows import Layout, TextRows, value_reason

LABEL = "label"
NUMBERS = tuple(f"I{number}" for number in range(1, 14))
IDS = tuple(f"C{number}" for number in range(1, 27))

SPEC = Spec(
    "Criteo's click logs, by the challenge's names: what the columns mean is not published.",
    LABEL,
    ROW_ID,
    "line of the file, and 10^12 times the file's place",
    [
        Group(
            "Mostly counts: small ones apart, then ever wider buckets, as the challenge's winners had them.",
            NUMBERS,
            "numeric",
            "type: log_bucket, min_count: {min_count}",
        ),
        Group(
            "Ids. One seen in fewer than `min_count` rows shares the unknown row with those never seen.",
            IDS,
            "categorical",
            "type: vocabulary, min_count: {min_count}",
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class Criteo:
    """The format, of which there is one."""

    name: ClassVar[str] = "criteo"
    label: ClassVar[str] = LABEL
    timezone_of_days: ClassVar[None] = None
    header: ClassVar[tuple[str, ...]] = ()
    encoding: ClassVar[Encoding] = "utf-8"
    has_row_ids: ClassVar[bool] = True
    spec: ClassVar[Spec] = SPEC
    layout: ClassVar[Layout] = Layout(
        {LABEL: pa.int8(), **dict.fromkeys(NUMBERS, pa.int64()), **dict.fromkeys(IDS, pa.string())}, Marks("\t")
    )

    def to_log(self, rows: TextRows) -> LogRows:
        """As they are, without rows whose label is neither 0 nor 1."""
        return LogRows(without_bad_labels(rows, LABEL))


def without_bad_labels(rows: TextRows, label: str) -> TextRows:
    """Without rows whose label, a column of integers, is null or neither 0 nor 1."""
    labels = rows.table.column(label)
    bounds = pc.min_max(labels)
    if labels.null_count == 0 and bounds["min"].as_py() in (0, None) and bounds["max"].as_py() in (1, 0, None):
        return rows
    is_bad = ~np.isin(labels.cast(pa.float64()).to_numpy(), (0.0, 1.0))
    return rows.without(is_bad, lambda row: value_reason(labels, row, label, "0 or 1"))
