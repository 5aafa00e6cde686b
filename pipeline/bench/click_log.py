"""A click log of any shape on disk, whose values follow Zipf's law: what a benchmark of a whole run reads."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.bench.clicks import ZIPF_EXPONENT
from pipeline.runtime import files
from pipeline.synthetic.chance import sigmoid

FIRST_DATE = date(2026, 11, 1)
ROWS_PER_PART = 500_000
BIAS = -3.2  # a click in some 6% of the rows
SPREADER = 2_654_435_761  # odd: times it, no two of 2^32 numbers are alike, and neighbours lie far apart
WRITTEN = "shape.json"


@dataclass(frozen=True, slots=True)
class LogShape:
    """So many rows in as many days, each field of its own num_values // num_fields values."""

    num_rows: int
    num_days: int
    num_fields: int
    num_values: int

    @property
    def rows_per_day(self) -> int:
        return self.num_rows // self.num_days

    @property
    def spec(self) -> dict[str, object]:
        """Every value that occurs has an id."""
        fields = [{"name": name, "kind": "categorical"} for name in self.names]
        return {"label": "click", "fields": fields}

    @property
    def names(self) -> list[str]:
        return [f"field_{number}" for number in range(self.num_fields)]


def write(folder: Path, shape: LogShape) -> None:
    """The log, as text in dictionaries, as Criteo's is; one that is there already, of that very shape, is left.

    A row's log-odds are the sum of what its values weigh, each drawn once for the log.
    """
    told = json.dumps(asdict(shape))
    if (folder / WRITTEN).exists() and (folder / WRITTEN).read_text(encoding="utf-8") == told:
        return
    values_per_field = shape.num_values // shape.num_fields
    cumulative = np.cumsum(1.0 / np.arange(1, values_per_field + 1) ** ZIPF_EXPONENT)
    weights = np.random.default_rng(0).normal(0, shape.num_fields**-0.5, (shape.num_fields, values_per_field))
    texts = [_texts(values_per_field, field) for field in range(shape.num_fields)]
    for index in range(shape.num_days):
        day = folder / f"date={FIRST_DATE + timedelta(index)}"
        day.mkdir(parents=True, exist_ok=True)
        for part, size in enumerate(_sizes(shape.rows_per_day)):
            rng = np.random.default_rng([1, index, part])
            ranks = [_ranks(rng.random(size), cumulative) for _ in range(shape.num_fields)]
            logits = BIAS + sum(of_field[rank] for of_field, rank in zip(weights, ranks, strict=True))
            clicks = (rng.random(size) < sigmoid(logits)).astype(np.int8)
            columns = map(pa.DictionaryArray.from_arrays, ranks, texts)
            table = pa.table({"click": clicks, **dict(zip(shape.names, columns, strict=True))})
            # Without the Arrow schema in the footer, what is written from dictionaries is read as plain strings.
            pq.write_table(table, day / f"part-{part}.parquet", store_schema=False)
        files.mark_complete(str(day))
    (folder / WRITTEN).write_text(told, encoding="utf-8")


def _sizes(num_rows: int) -> Iterator[int]:
    return (min(ROWS_PER_PART, num_rows - start) for start in range(0, num_rows, ROWS_PER_PART))


def _ranks(uniform: NDArray[np.float64], cumulative: NDArray[np.float64]) -> NDArray[np.int32]:
    found = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    ranks: NDArray[np.int32] = np.minimum(found, len(cumulative) - 1).astype(np.int32)
    return ranks


def _texts(count: int, field: int) -> pa.Array:
    """Eight hexadecimal digits a value, in no order."""
    return pa.array([f"{(value * SPREADER + field) % 2**32:08x}" for value in range(count)])
