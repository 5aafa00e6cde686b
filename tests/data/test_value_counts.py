"""Counts of tables met one after another are those of brute force, whatever types their columns have."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.value_counts import NUMBER_BIN_MASK, ValueCounts
from pipeline.data.vocabulary import merge
from schemas.features import FeatureSpec

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "kind": "categorical"},
    {"name": "site", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 4}},
    {"name": "tags", "kind": "multi_valued"},
    {"name": "price", "kind": "numeric"},
]
SPEC = FeatureSpec.model_validate({"label": "click", "fields": FIELDS})


def table(ids: pa.Array, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    tags = [rng.choice(["a", "b", "c"], size).tolist() for size in rng.integers(0, 4, len(ids)).tolist()]
    price = pa.array(rng.choice([0.0, -0.0, 1.5, 3000.25, -7.0], len(ids)), mask=rng.random(len(ids)) < 0.2)
    return pa.table({"id": ids, "site": ["x"] * len(ids), "tags": tags, "price": price})


def counted(tables: list[pa.Table]) -> dict[tuple[str, str], int]:
    counts = ValueCounts(SPEC.fields)
    for one in tables:
        counts.add(one)
    total = merge(counts.total())
    keys = zip(total["field"].to_pylist(), total["value"].to_pylist(), strict=True)
    return dict(zip(keys, total["count"].to_pylist(), strict=True))


def by_brute_force(tables: list[pa.Table]) -> dict[tuple[str, str], int]:
    found: Counter[tuple[str, str]] = Counter()
    for one in tables:
        for row in one.to_pylist():
            if row["id"] is not None:
                found["id", str(row["id"]).lower()] += 1
            found.update(("tags", tag) for tag in row["tags"])
            if row["price"] is not None:
                bits = np.array([row["price"]], np.float32).view(np.uint32) & NUMBER_BIN_MASK
                found["price", pa.array(bits.view(np.float32)).cast(pa.string())[0].as_py()] += 1
    return dict(found)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64(), pa.bool_(), pa.string(), pa.large_string()])
def test_values_of_each_type_are_counted_as_by_brute_force(kind):
    numbers = np.random.default_rng(0).integers(0, 2 if kind == pa.bool_() else 90, 200)
    ids = pa.array(numbers, mask=numbers == 1).cast(kind)
    tables = [table(ids.slice(0, 70), 1), table(ids.slice(70), 2)]
    assert counted(tables) == by_brute_force(tables)
    in_dictionaries = [one.set_column(0, "id", one["id"].dictionary_encode()) for one in tables]
    assert counted(in_dictionaries) == by_brute_force(tables)


def test_numbers_in_one_file_and_their_text_in_another_are_one_value():
    tables = [table(pa.array([7, 7, 10]), 1), table(pa.array(["7", "07"]), 2), table(pa.array([7], pa.int8()), 3)]
    assert counted(tables) == by_brute_force(tables)
    assert counted(tables)["id", "7"] == 4


def test_no_table_at_all_comes_to_no_counts():
    assert counted([]) == {}
    assert counted([table(pa.array([], pa.int64()), 0)]) == {}
