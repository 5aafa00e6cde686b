"""Adding up counts: what comes out, and what it takes of memory."""

import subprocess
import sys
import tempfile
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.counting import add_up, summed
from pipeline.data.value_counts import COUNTS_SCHEMA
from pipeline.data.vocabulary import build
from schemas.features import FeatureSpec

MOST_BYTES_OF_ONE = 2.5
HOLDS = """
import numpy as np, pyarrow as pa
from pipeline.data.counting import add_up
from pipeline.data.value_counts import COUNTS_SCHEMA

def parts():
    for part in range(12):
        own = range(part * 150_000, (part + 1) * 150_000)
        values = pa.array([f"{value * 0x9E3779B9 % 2**40:011x}" for value in own])
        names = pa.repeat(pa.scalar("user"), len(values))
        yield pa.table([names, values, pa.array(np.ones(len(values), np.int64))], schema=COUNTS_SCHEMA)

total = add_up(parts(), COUNTS_SCHEMA)
assert len(total) == 12 * 150_000
print(pa.default_memory_pool().max_memory() / total.nbytes)
"""


def counts(rows: list[tuple[str | None, str | None, int]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(COUNTS_SCHEMA.names, row, strict=True)) for row in rows], COUNTS_SCHEMA)


def by_value(table: pa.Table) -> dict[tuple[str | None, str | None], int]:
    keys = zip(table["field"].to_pylist(), table["value"].to_pylist(), strict=True)
    return dict(zip(keys, table["count"].to_pylist(), strict=True))


def test_counts_of_one_value_come_together_whatever_its_text_is_and_wherever_it_stood():
    texts = ["", "a", "ab", "ba", "aab", "zab", "ä", "日本", "0", "10", "210", None]
    first = counts([("f", text, 1) for text in texts] + [(None, "rows", 5)])
    second = counts([("f", text, 10) for text in reversed(texts)] + [("g", "ab", 3)])
    total = add_up([first, second.slice(2, 5), second.slice(7), second.slice(0, 2)], COUNTS_SCHEMA)
    assert by_value(total) == {("f", text): 11 for text in texts} | {("g", "ab"): 3, (None, "rows"): 5}
    assert len(total) == len(by_value(total))


def test_counts_of_many_parts_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    parts, expected = [], {}
    for _ in range(20):
        drawn = [(f"f{rng.integers(3)}", str(rng.integers(40)), int(rng.integers(1, 5))) for _ in range(60)]
        parts.append(counts(drawn))
        for field, value, number in drawn:
            expected[field, value] = expected.get((field, value), 0) + number
    assert by_value(add_up(parts, COUNTS_SCHEMA)) == expected


def test_parts_in_any_order_make_the_same_vocabulary(spec: FeatureSpec):
    rng = np.random.default_rng(1)
    parts = [counts([("user", f"u{rng.integers(30)}", int(rng.integers(1, 4))) for _ in range(20)]) for _ in range(6)]
    vocabularies = [build(spec, add_up(order, COUNTS_SCHEMA)) for order in (parts, parts[::-1])]
    assert vocabularies[0].values.equals(vocabularies[1].values)


def test_values_of_a_byte_or_none_beside_one_another_are_counted():
    parts = [counts([("f", "", 1), ("f", "x", 2)]), counts([("f", "x", 3)]), counts([("f", "", 1)])]
    assert by_value(add_up(parts, COUNTS_SCHEMA)) == {("f", ""): 2, ("f", "x"): 5}


def test_no_counts_at_all_add_up_to_none():
    assert add_up([], COUNTS_SCHEMA).schema == COUNTS_SCHEMA
    assert len(add_up([COUNTS_SCHEMA.empty_table()], COUNTS_SCHEMA)) == 0


def test_counts_beyond_what_may_be_held_go_to_files_and_come_to_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rng = np.random.default_rng(2)
    parts = [
        counts([(f"f{rng.integers(3)}", str(rng.integers(400)), int(rng.integers(1, 5))) for _ in range(300)])
        for _ in range(12)
    ]
    parts[7] = counts([("f0", None, 2), (None, "rows", 5), ("f0", "", 1)])
    in_files = summed(iter(parts), COUNTS_SCHEMA, most_bytes=2_000)
    first = next(in_files)
    assert list(tmp_path.iterdir()), "they were held"
    tables = [first, *in_files]
    assert by_value(pa.concat_tables(tables)) == by_value(add_up(parts, COUNTS_SCHEMA))
    assert sum(map(len, tables)) == len(by_value(pa.concat_tables(tables))), "no value is in two of the tables"
    assert not list(tmp_path.iterdir()), "no file stays behind"


def test_a_day_of_several_days_has_counts_of_its_own():
    schema = COUNTS_SCHEMA.append(pa.field("day", pa.date32()))
    days = [date(2026, 11, day) for day in (1, 2, 1, 3)]
    parts = [counts([("f", "a", 1), ("g", "a", 2)]).append_column("day", pa.array([day] * 2)) for day in days]
    total = add_up([pa.concat_tables(parts[:2]), *parts[2:]], schema)
    keys = zip(*(total[name].to_pylist() for name in ("day", "field", "value")), strict=True)
    expected = {(day, field, "a"): n * (1 + (day == days[0])) for day in days for field, n in (("f", 1), ("g", 2))}
    assert dict(zip(keys, total["count"].to_pylist(), strict=True)) == expected
    assert total.schema == schema


@pytest.mark.slow
def test_to_add_counts_up_takes_little_more_memory_than_their_sum():
    """At most 2.5 times; added up all at once they take six times as much."""
    done = subprocess.run([sys.executable, "-c", HOLDS], capture_output=True, text=True, check=True)
    assert float(done.stdout) < MOST_BYTES_OF_ONE
