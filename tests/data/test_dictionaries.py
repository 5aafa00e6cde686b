"""Text that a file holds by a dictionary is read as one: the same ids, counts and refusals as of plain text."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import quality
from pipeline.data.encode import Encoder
from pipeline.data.logs import Part, read_part
from pipeline.data.rows import Rows
from pipeline.data.vocabulary import build, count, merge
from pipeline.profiles.tallies import tally
from schemas.errors import Refusal
from schemas.features import FeatureSpec

DAY = date(2026, 11, 1)
NUM_ROWS = 700
FIELDS: list[dict[str, Any]] = [
    {"name": "item", "kind": "categorical", "encoder": {"type": "vocabulary", "min_count": 2}},
    {"name": "a.b", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 50}},
    {"name": "tags", "kind": "multi_valued"},
    {"name": "age", "kind": "numeric"},
]
SPEC = FeatureSpec.model_validate({"label": "click", "group": "user", "row_key": "row", "fields": FIELDS})
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]


def log(kind: pa.DataType, seed: int = 0) -> pa.Table:
    """Values of which a day has few and many; nulls; lists of none."""
    rng = np.random.default_rng(seed)

    def drawn(size: int, most: int) -> list[str | None]:
        return [None if number == 3 else f"v{number}" for number in rng.integers(0, most, size).tolist()]

    lists = [None if size == 4 else drawn(size, 30) for size in rng.integers(0, 5, NUM_ROWS).tolist()]
    columns = {
        "row": pa.array([f"key {number}" for number in range(NUM_ROWS)], kind),
        "user": pa.array(drawn(NUM_ROWS, 60), kind),
        "item": pa.array(drawn(NUM_ROWS, 500), kind),
        "a.b": pa.array(drawn(NUM_ROWS, 9), kind),
        "tags": pa.array(lists, pa.list_(kind)),
        "age": pa.array(rng.normal(size=NUM_ROWS)),
        "click": pa.array(rng.integers(0, 2, NUM_ROWS), pa.int8()),
    }
    return pa.table(columns)


def read(path: Path, *, by_dictionary: bool) -> list[pa.Table]:
    groups = tuple((path.as_uri(), group) for group in range(pq.ParquetFile(path).metadata.num_row_groups))
    wanted = SPEC.category_columns if by_dictionary else ()
    return [table for table, _ in read_part(Part(DAY, 0, groups), SPEC.columns, wanted)]


def rows_of(tables: list[pa.Table]) -> tuple[Rows, pa.Table, pa.Table]:
    """All that is made of them: encoded rows, counts, tallies."""
    by_value = [("field", "ascending"), ("value", "ascending")]
    sound = [quality.sound_rows(table, SPEC, "here", 0.9) for table in tables]
    counts = merge(pa.concat_tables([count(table, SPEC) for table in sound])).sort_by(by_value)
    tallies = merge(pa.concat_tables([tally(table, {}, SPEC) for table in sound])).sort_by(by_value)
    encoder = Encoder(build(SPEC, counts))
    return Rows.concatenate([encoder.encode(table) for table in sound]), counts, tallies


def assert_same(plain: list[pa.Table], by_dictionary: list[pa.Table]) -> None:
    (rows, counts, tallies), (others, *their_sums) = rows_of(plain), rows_of(by_dictionary)
    assert [counts, tallies] == their_sums
    for name in ("ids", "lengths", "labels", "groups"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(others, name))


def is_dictionary(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return pa.types.is_dictionary(kind.value_type if pa.types.is_list(kind) else kind)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("most_bytes", [100, 2**20])
def test_rows_counts_and_tallies_are_those_of_plain_text(kind, most_bytes, tmp_path):
    """Also where a dictionary has grown too large and plain pages follow, and where each row group has its own."""
    path = tmp_path / "part.parquet"
    pq.write_table(log(kind), path, row_group_size=300, dictionary_pagesize_limit=most_bytes, data_page_size=200)
    plain, by_dictionary = read(path, by_dictionary=False), read(path, by_dictionary=True)
    assert not any(is_dictionary(plain[0], name) for name in SPEC.columns)
    if kind != pa.string_view():
        assert [name for name in SPEC.columns if is_dictionary(by_dictionary[0], name)] == [
            "user",
            "item",
            "a.b",
            "tags",
        ]
    assert_same(plain, by_dictionary)


def test_files_with_and_without_dictionaries_come_to_the_same(tmp_path):
    for name, has_dictionaries in (("with", True), ("without", False), ("some", ["user"])):
        pq.write_table(log(pa.string()), tmp_path / name, row_group_size=300, use_dictionary=has_dictionaries)
    tables = [read(tmp_path / name, by_dictionary=True) for name in ("with", "without", "some")]
    assert_same(tables[1], tables[0])
    assert_same(tables[1], tables[2])
    assert_same([*tables[1], *tables[1]], [*tables[0], *tables[2]])


def test_rows_that_are_left_out_leave_their_values_out_of_what_is_counted(tmp_path):
    rows = log(pa.string())
    bad = rows.set_column(6, "click", pa.array([7] * 20 + [1, 0] * 340, pa.int8()))
    bad = bad.set_column(2, "item", pa.array([f"bad {row}" for row in range(20)] + rows["item"].to_pylist()[20:]))
    pq.write_table(bad, tmp_path / "part.parquet", row_group_size=300)
    tables = [read(tmp_path / "part.parquet", by_dictionary=way) for way in (False, True)]
    assert_same(*tables)
    assert not [text for text in rows_of(tables[1])[1]["value"].to_pylist() if text.startswith("bad")]


def test_text_that_is_none_is_refused_in_the_same_words(tmp_path):
    rows = log(pa.string())
    broken = pa.array([b"\xff"] * 3 + [b"fine"] * (NUM_ROWS - 3), pa.binary()).view(pa.string())
    pq.write_table(rows.set_column(2, "item", broken), tmp_path / "part.parquet")
    said = []
    for way in (False, True):
        (table,) = read(tmp_path / "part.parquet", by_dictionary=way)
        with pytest.raises(Refusal) as refusal:
            quality.check_rows(table, SPEC, "here")
        said.append((refusal.value.found, refusal.value.expected, refusal.value.where))
        assert len(quality.sound_rows(table, SPEC, "here", 0.5)) == NUM_ROWS - 3
    assert said[0] == said[1]
