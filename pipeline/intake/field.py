"""What a column of a sample is proposed as: a field of some kind and encoder, or why it can be none."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.types as pt

from pipeline.data.quality import MAX_NUMBER
from pipeline.intake import leak, names
from pipeline.intake.column import Column
from pipeline.intake.leak import Label

FEW_VALUES = 32  # that are learned one by one, also where they are numbers
MANY_VALUES = 1000  # from which on those that are seen once share an id
SINGLES = 0.1  # of the values, from which on they do so too
QUANTITY = -0.3  # correlation of a whole number's size with how often it occurs, from which on it measures something
GAIN_OF_VALUES = 0.01  # of AUC, from which on each whole number has an id
SKEWED = 10  # times the median, that the largest of a count is at least
LARGE_LOG_ROWS = 10_000_000
DELIMITED = re.compile(r"[^|;,]{1,40}([|;,])[^|;,]{1,40}(\1[^|;,]{1,40})*")
DELIMITED_SHARE = 0.2  # of rows, that hold more than one value


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry of a spec's `fields` but for its name, and the reason; without an entry it is to be ignored."""

    reason: str
    entry: dict[str, Any] | None = None


def propose(column: Column, label: Label, total_rows: int) -> Proposal:
    """What the column is as a feature, whether it may know the label or not; `total_rows` are those of the log."""
    why_not = _why_none(column)
    if why_not:
        return Proposal(why_not)
    if column.has_lists:
        return Proposal("a list a row", {"kind": "multi_valued", **_vocabulary(column, total_rows)})
    if not column.is_number:
        return Proposal(_of_words(column), {"kind": "categorical", **_vocabulary(column, total_rows)})
    return _of_numbers(column, label, total_rows)


def _why_none(column: Column) -> str:
    """Why no field can, or should, have the column; empty where one may."""
    if column.is_time:
        return "a moment does not come again: write its hour or weekday as a column of its own"
    if not column.is_readable:
        return f"no kind of field takes values of type {column.kind}"
    if column.num_distinct == 0:
        return "always null"
    if column.num_distinct == 1 and column.null_share == 0:
        return "always the same value"
    if column.is_number and not column.has_lists and not np.all(np.abs(column.numbers) <= MAX_NUMBER):
        return "it holds numbers that are infinite or beyond 32-bit floats: write null for them"
    if column.has_lists and pt.is_floating(column.plain.type) and not column.is_whole:
        return "a list of measured numbers, as an embedding is: no kind of field takes one"
    is_measured = pt.is_floating(column.plain.type) and not column.is_whole
    if column.is_unique and not column.has_lists and not is_measured and _names_things(column):
        return "another value in every row: nothing could be learned of one"
    return ""


def _names_things(column: Column) -> bool:
    return column.is_text or column.counts_rows or names.is_id(column.name) or names.key_rank(column.name) < 2


def _of_words(column: Column) -> str:
    delimiter = _delimiter(column)
    if delimiter:
        return f"perhaps a list, parted by {delimiter}: written as a list a row it can be multi_valued"
    return "an id for each value" if _are_common(column) else "an id for each value that comes again"


def _delimiter(column: Column) -> str:
    """The sign that parts several values in one text, in many rows, where the parts are fewer than the texts."""
    if not column.is_text:
        return ""
    texts, counts = column.counts["value"].slice(0, MANY_VALUES).to_pylist(), column.counts["count"].to_numpy()
    found = [DELIMITED.fullmatch(text) for text in texts]
    rows = {
        sign: sum(int(n) for one, n in zip(found, counts, strict=False) if one and one[1] == sign) for sign in "|;,"
    }
    sign = max(rows, key=lambda one: rows[one])
    parts = {part for text in texts for part in text.split(sign)}
    is_list = rows[sign] >= DELIMITED_SHARE * counts.sum() and len(parts) < len(texts)
    return sign if is_list else ""


def _of_numbers(column: Column, label: Label, total_rows: int) -> Proposal:
    categorical = {"kind": "categorical", **_vocabulary(column, total_rows)}
    if column.is_whole and names.is_id(column.name):
        return Proposal("whole numbers that name things, by what the column is called", categorical)
    if column.is_whole and column.num_distinct <= 2:
        return Proposal("an id for each value", categorical)
    is_apart = column.is_whole and column.num_distinct <= MANY_VALUES
    if is_apart and leak.gain_of_values(column, label) > GAIN_OF_VALUES:
        return Proposal("one by one these numbers tell more of the label than in 32 buckets", categorical)
    if _is_count(column):
        entry = {"kind": "numeric", "encoder": {"type": "log_bucket", "min_count": 2}}
        return Proposal("a count: small ones apart, then ever wider buckets", entry)
    if column.is_whole and column.num_distinct <= FEW_VALUES:
        return Proposal("few whole numbers, an id for each", categorical)
    if column.is_whole and column.num_distinct > MANY_VALUES and not _is_quantity(column):
        return Proposal("whole numbers that name things, since small ones are not commoner", categorical)
    return Proposal("a quantity: 32 buckets of as many rows each", {"kind": "numeric"})


def _is_count(column: Column) -> bool:
    """Whole, hardly ever negative, and a few of them far above most."""
    if not column.is_whole or np.mean(column.numbers < 0) > 0.01:
        return False
    return bool(column.numbers.max() >= SKEWED * max(1.0, float(np.median(column.numbers)))) and _is_quantity(column)


def _is_quantity(column: Column) -> bool:
    """Of a quantity large values are seldomer than small ones, or some are below 0; names of things have no order."""
    values = column.counts["value"].cast("float64", safe=False).to_numpy()
    counts = column.counts["count"].to_numpy()
    if values.min() < 0 or len(values) < 3 or counts.min() == counts.max():
        return bool(values.min() < 0)
    sizes, often = (np.unique(ranked, return_inverse=True)[1] for ranked in (values, counts))
    return bool(np.corrcoef(sizes, often)[0, 1] < QUANTITY)


def _vocabulary(column: Column, total_rows: int) -> dict[str, Any]:
    """Nothing where each value is common; else those that are seen once share an id, of a large log some more."""
    if _are_common(column):
        return {}
    return {"encoder": {"type": "vocabulary", "min_count": 2 if total_rows < LARGE_LOG_ROWS else 10}}


def _are_common(column: Column) -> bool:
    """Few values, hardly any of which was seen once alone."""
    singles = pc.sum(pc.equal(column.counts["count"], 1)).as_py()
    return bool(column.num_distinct <= MANY_VALUES and singles <= SINGLES * column.num_distinct)
