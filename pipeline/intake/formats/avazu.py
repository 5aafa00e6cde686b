"""Avazu's log of mobile ads: CSV of 24 columns, of which `hour` is YYMMDDHH, `click` the label and the others ids."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pipeline.intake.blocks import Encoding, Marks
from pipeline.intake.formats.criteo import without_bad_labels
from pipeline.intake.formats.form import LogRows
from pipeline.intake.known_spec import Group, Spec
from pipeline.intake.text_rows import Layout, TextRows, value_reason

LABEL, HOUR, KEY = "click", "hour", "id"
NUMBERED = ("C1", "banner_pos", "device_type", "device_conn_type", *(f"C{number}" for number in range(14, 22)))
HASHED = (
    *("site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category"),
    *("device_id", "device_ip", "device_model"),
)
COLUMNS = (
    *(KEY, LABEL, HOUR, "C1", "banner_pos", *HASHED, "device_type", "device_conn_type"),
    *(f"C{number}" for number in range(14, 22)),
)
SPEC = Spec(
    "Avazu's log of mobile ads: ids, of which those called C1 and C14 to C21 have no published meaning.",
    LABEL,
    KEY,
    "of the ad's showing",
    [
        Group(
            "Ids of many values. One seen in fewer than `min_count` rows shares the unknown row with those never seen.",
            (*HASHED, "C14", "C17", "C20"),
            "categorical",
            "type: vocabulary, min_count: {min_count}",
        ),
        Group(
            "Few values each; `hour` is that of the day, 0 to 23.",
            (HOUR, *(name for name in NUMBERED if name not in ("C14", "C17", "C20"))),
            "categorical",
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class Avazu:
    """The format, of which there is one. Keys have up to twenty digits, more than an integer holds, and stay text."""

    name: ClassVar[str] = "avazu"
    label: ClassVar[str] = LABEL
    timezone_of_days: ClassVar[None] = None
    header: ClassVar[tuple[str, ...]] = COLUMNS
    encoding: ClassVar[Encoding] = "utf-8"
    has_row_ids: ClassVar[bool] = False
    spec: ClassVar[Spec] = SPEC
    layout: ClassVar[Layout] = Layout(
        {name: pa.int8() if name == LABEL else pa.int64() if name in NUMBERED else pa.string() for name in COLUMNS},
        Marks(","),
    )

    def to_log(self, rows: TextRows) -> LogRows:
        """`hour` becomes the day's folder and the hour of the day, 0 to 23."""
        rows = without_bad_labels(rows, LABEL)
        text = rows.table.column(HOUR)
        hours, is_none = _hours(text)
        rows = rows.without(is_none, lambda row: value_reason(text, row, HOUR, "YYMMDDHH"))
        hours = hours[~is_none]
        days = hours.astype("datetime64[D]")
        of_day = pa.array((hours - days.astype("datetime64[h]")).astype(np.int8))
        place = rows.table.column_names.index(HOUR)
        return LogRows(rows.having(rows.table.set_column(place, HOUR, of_day)), days)


def _hours(text: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """datetime64[h] of each, and which are none; few differ."""
    distinct = text.combine_chunks().dictionary_encode()
    parsed = [_hour(word) for word in distinct.dictionary.to_pylist()]
    codes = distinct.indices.fill_null(len(parsed)).to_numpy(zero_copy_only=False)
    hours = np.array([*parsed, np.datetime64("NaT")], "datetime64[h]")[codes]
    return hours, np.isnat(hours)


def _hour(word: str) -> np.datetime64:
    try:
        if len(word) == 8 and word.isdecimal() and word.isascii():
            return np.datetime64(f"20{word[:2]}-{word[2:4]}-{word[4:6]}T{word[6:]}", "h")
    except ValueError:
        pass
    return np.datetime64("NaT")
