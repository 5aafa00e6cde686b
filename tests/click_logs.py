"""A tiny click log that every room can be tested on, small enough to be checked by eye."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.data import DataConfig
from schemas.features import FeatureSpec

SPEC = {
    "label": "click",
    "group": "user",
    "row_key": "row",
    "fields": [
        {"name": "user", "kind": "categorical"},
        {"name": "site", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 4}},
        {"name": "tags", "kind": "multi_valued"},
        {"name": "age", "kind": "numeric", "encoder": {"type": "quantile_bucket", "num_buckets": 4}},
        {"name": "views", "kind": "numeric", "encoder": {"type": "log_bucket"}},
        {"name": "price", "kind": "numeric", "encoder": {"type": "scale"}},
    ],
}


def data_of(logs_uri: str | Path, spec: FeatureSpec | None = None, **keys: Any) -> DataConfig:
    """The part of a config that says where such a log lies, and how it is read."""
    return DataConfig.model_validate({"logs_uri": str(logs_uri), "features": spec or SPEC, **keys})


def click_rows(first_row: int = 0) -> pa.Table:
    """Eight impressions, two of them clicks; every kind of field, with missing values."""
    return pa.table(
        {
            "row": pa.array(range(first_row, first_row + 8), pa.int64()),
            "user": ["ann", "ann", "bob", "ann", "bob", "cat", None, "ann"],
            "site": ["x", "y", "x", "x", "z", "x", "y", None],
            "tags": [["a", "b"], ["a"], [], None, ["b", "c", "a"], ["a"], ["a"], ["b"]],
            "age": pa.array([20, 30, 40, 50, 20, 30, None, 40], pa.int32()),
            "views": pa.array([0, 1, 2, 3, 10, 100, -5, None], pa.int64()),
            "price": [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, None],
            "click": pa.array([1, 0, 0, 0, 0, 1, 0, 0], pa.int8()),
        }
    )


def write_day(logs: Path, day: date, table: pa.Table, name: str = "part-0.parquet", row_group_size: int = 0) -> Path:
    """In some eight row groups, unless their size is given."""
    folder = logs / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name, row_group_size=row_group_size or max(4, len(table) // 8))
    return folder / name


def write_random_log(logs: Path, num_days: int, rows_per_day: int, seed: int = 0) -> None:
    """Days of random impressions of the same columns, from 2026-11-01 on; older users click more."""
    rng = np.random.default_rng(seed)
    for day in range(num_days):
        age = rng.integers(18, 80, rows_per_day)
        table = pa.table(
            {
                "row": np.arange(rows_per_day) + day * rows_per_day,
                "user": rng.choice(["ann", "bob", "cat", "dan"], rows_per_day),
                "site": rng.choice(["x", "y", "z"], rows_per_day),
                "tags": [rng.choice(["a", "b", "c"], size).tolist() for size in rng.integers(0, 4, rows_per_day)],
                "age": pa.array(age, pa.int32()),
                "views": rng.integers(0, 1000, rows_per_day),
                "price": rng.lognormal(size=rows_per_day),
                "click": pa.array(rng.random(rows_per_day) < age / 160, pa.int8()),
            }
        )
        write_day(logs, date(2026, 11, 1 + day), table, row_group_size=rows_per_day // 4)
