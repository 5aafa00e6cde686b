"""Whatever a log's files hold: the rows that are in them, or a Refusal. Never a traceback, never other rows."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import damages, several
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import logs, passes, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from schemas.config import DataConfig
from schemas.errors import Refusal

pytestmark = pytest.mark.slow

DAY = date(2026, 11, 1)
FIELDS = [
    {"name": "id", "kind": "categorical"},
    {"name": "site", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 1000}},
    {"name": "tags", "kind": "multi_valued"},
    {"name": "price", "kind": "numeric", "encoder": {"type": "scale"}},
    {"name": "views", "kind": "numeric", "encoder": {"type": "log_bucket"}},
    {"name": "age", "kind": "numeric"},
]
SPEC = {"label": "click", "weight": "weight", "group": "user", "row_key": "row", "fields": FIELDS}
CATEGORIES, NUMBERS = ["id", "site", "user", "row"], ["price", "views", "age", "weight"]
# What each column's values are in the plain log, which odd ones are held against.
PLAIN = dict.fromkeys(CATEGORIES, pa.string()) | dict.fromkeys(NUMBERS, pa.float64())
PLAIN |= {"tags": pa.list_(pa.string()), "click": pa.int8()}

Values = list[Any]
Writing = Callable[[Values], pa.Array]
"""From a column's values to the array that a writer has made of them; raises where its type cannot hold them."""

texts = st.sampled_from(["", "0", "1", "a", "A", "é", "e\u0301", "a|b", "null", "\0", "日本", "x" * 300, "-1", "1.0"])
wholes = st.sampled_from([0, 1, -1, 7, 127, 128, 2**24 - 1, 2**24 + 1, 2**31, 2**53 - 1, -(2**53) + 1])
numbers = st.sampled_from([0.0, -0.0, 0.5, 1.0, 3.0, -2.5, 100.0, 65504.0, 1e-30, 1e30])
counts = st.sampled_from([0.0, 1.0, 2.0, 3.0, 10.0, 127.0, 1000.0])


def as_type(kind: pa.DataType) -> Writing:
    return lambda values: pa.array(values, kind)


def as_dictionary(kind: pa.DataType, index: pa.DataType) -> Writing:
    def write(values: Values) -> pa.Array:
        encoded = pa.array(values, kind).dictionary_encode()
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(index), encoded.dictionary)

    return write


def as_bytes(kind: pa.DataType) -> Writing:
    return lambda values: pa.array([None if value is None else value.encode() for value in values], kind)


def as_fixed_bytes(values: Values) -> pa.Array:
    found = [None if value is None else value.encode() for value in values]
    return pa.array(found, pa.binary(max(len(value) for value in found if value is not None)))


def as_floats(kind: pa.DataType, missing: float | None) -> Writing:
    def write(values: Values) -> pa.Array:
        written = pa.array([missing if value is None else float(value) for value in values], kind)
        exact = written.cast(pa.float64()).to_pylist()
        assert all(a is None or x == a for x, a in zip(exact, values, strict=True)), "rounded: another value"
        return written

    return write


def as_float_ids(kind: pa.DataType, missing: float | None) -> Writing:
    """Beyond 2^24, a float of 32 bits could be another integer's as well, and is a bad row."""

    def write(values: Values) -> pa.Array:
        assert kind != pa.float32() or all(abs(value or 0) < 2**24 for value in values)
        return as_floats(kind, missing)(values)

    return write


def as_decimals(values: Values) -> pa.Array:
    return pa.array([None if value is None else Decimal(repr(value)) for value in values])


def as_nulls(values: Values) -> pa.Array:
    assert all(value is None for value in values)
    return pa.nulls(len(values))


def as_lists(layout: str, elements: Writing) -> Writing:
    def write(rows: Values) -> pa.Array:
        flat = elements([value for row in rows or () if row is not None for value in row])
        sizes = np.array([len(row or ()) for row in rows], np.int32)
        offsets = np.append(0, np.cumsum(sizes, dtype=np.int32))
        is_null = pa.array([row is None for row in rows])
        match layout:
            case "large":
                return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat, mask=is_null)
            case "view":
                return pa.ListViewArray.from_arrays(offsets[:-1], sizes, flat, mask=is_null)
            case "fixed":
                assert len(set(sizes)) == 1
                assert sizes[0]
                assert not any(is_null.to_pylist())
                return pa.FixedSizeListArray.from_arrays(flat, int(sizes[0]))
            case _:
                return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=is_null)

    return write


OF_TEXTS: list[Writing] = [
    *map(as_type, [pa.string(), pa.large_string(), pa.string_view()]),
    *map(as_bytes, [pa.binary(), pa.large_binary(), pa.binary_view()]),
    *(as_dictionary(pa.string(), index) for index in (pa.int8(), pa.int32(), pa.uint16())),
    as_dictionary(pa.large_string(), pa.int64()),
    *[as_fixed_bytes, as_nulls],
]
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
OF_WHOLES: list[Writing] = [
    *map(as_type, INTEGERS),
    *(as_dictionary(kind, pa.int8()) for kind in INTEGERS),
    *(as_float_ids(kind, missing) for kind in (pa.float32(), pa.float64()) for missing in (None, float("nan"))),
    *[as_nulls, lambda values: pa.array([None if value is None else str(value) for value in values])],
]
OF_NUMBERS: list[Writing] = [
    *(as_floats(kind, None) for kind in (pa.float16(), pa.float32(), pa.float64(), *INTEGERS)),
    *[as_decimals, as_nulls, as_dictionary(pa.float64(), pa.int8())],
]
LAYOUTS = ["small", "large", "view", "fixed"]
ODD: list[Writing] = [  # of no role, or of another than the column's
    lambda values: pa.array([{"id": 1} for _ in values]),
    lambda values: pa.array([[("k", 1)] for _ in values], pa.map_(pa.string(), pa.int64())),
    lambda values: pa.array([datetime(2026, 11, 1)] * len(values)),
    lambda values: pa.array([DAY] * len(values), pa.date32()),
    lambda values: pa.array([["a"]] * len(values)),
    lambda values: pa.array([[["a"]]] * len(values)),
    lambda values: pa.array([b"\xff\xfe"] * len(values), pa.binary()).view(pa.string()),
    lambda values: pa.array([float("inf")] * len(values)),
    lambda values: pa.array([1e300] * len(values)),
    lambda values: pa.array([0.5] * len(values)),
    lambda values: pa.array([-3] * len(values)),
    lambda values: pa.nulls(len(values)),
]


@dataclass(frozen=True)
class Log:
    """A day of rows as a writer has written them, and the same in plain types; None: in which nothing is read."""

    written: pa.Table
    plain: pa.Table | None


def missing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values | values | values


@st.composite
def columns(draw: st.DrawFn, name: str, num_rows: int) -> tuple[pa.Array, pa.Array]:
    """A column as written, and in its plain type."""
    if name == "click":
        values = draw(st.lists(st.sampled_from([0, 1]), min_size=num_rows, max_size=num_rows))
        written = draw(st.sampled_from([*map(as_type, INTEGERS), as_type(pa.float64()), as_decimals]))
        return written(values), pa.array(values, PLAIN[name])
    if name in NUMBERS:
        drawn = counts if name in ("weight", "age") else numbers
        of_rows = st.lists(drawn if name == "weight" else missing(drawn), min_size=num_rows, max_size=num_rows)
        values, writings = draw(of_rows), OF_NUMBERS
    else:
        kind, writings = draw(st.sampled_from([(texts, OF_TEXTS), (wholes, OF_WHOLES)]))
        one = kind if name == "row" else missing(kind)
        if name == "tags":
            one = missing(st.lists(missing(kind), max_size=3) | st.lists(kind, min_size=2, max_size=2))
            writings = [as_lists(layout, elements) for layout in LAYOUTS for elements in writings]
        values = draw(st.lists(one, min_size=num_rows, max_size=num_rows))
    written = None
    while written is None:
        try:
            written = draw(st.sampled_from(writings))(values)
        except (pa.ArrowException, AssertionError, ValueError, OverflowError, TypeError):
            writings = (
                [as_lists("small", as_type(pa.string() if kind is texts else pa.int64()))]
                if name == "tags"
                else [as_type(pa.float64() if name in NUMBERS else pa.string() if kind is texts else pa.int64())]
            )
    return written, pa.array(_plainly(values), PLAIN[name])


def _plainly(values: Any) -> Any:
    if isinstance(values, list):
        return [_plainly(value) for value in values]
    return str(values) if isinstance(values, int) else values


@st.composite
def any_log(draw: st.DrawFn) -> Log:
    num_rows = draw(st.integers(1, 12))
    of_name = {name: draw(columns(name, num_rows)) for name in PLAIN}
    written = pa.table({name: column for name, (column, _) in of_name.items()})
    plain: pa.Table | None = pa.table({name: column for name, (_, column) in of_name.items()})
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(list(PLAIN)))
        written = written.set_column(list(PLAIN).index(name), name, draw(st.sampled_from(ODD))(range(num_rows)))
        plain = None
    return Log(written, plain)


writers = st.fixed_dictionaries(
    {
        "row_group_size": st.sampled_from([1, 3, 100]),
        "compression": st.sampled_from(["none", "snappy", "zstd", "gzip"]),
        "use_dictionary": st.booleans(),
        "version": st.sampled_from(["1.0", "2.4", "2.6"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "store_schema": st.booleans(),
        "write_statistics": st.booleans(),
        "write_page_checksum": st.booleans(),
        "data_page_size": st.sampled_from([100, 2**20]),
    }
)


def write(table: pa.Table, folder: Path, options: dict[str, Any], name: str = "part-0.parquet") -> Path:
    """Types that Parquet, or these options, cannot hold are drawn in vain."""
    path = folder / f"date={DAY}" / name
    path.parent.mkdir(exist_ok=True, parents=True)
    pq.write_table(table, path, **options)
    return path


def is_whole(path: Path) -> bool:
    """Whether Arrow finds the rows in it: of pages of few bytes, it loses some lists without a word."""
    file = pq.ParquetFile(path)
    groups = range(file.num_row_groups)
    return all(len(file.read_row_group(group)) == file.metadata.row_group(group).num_rows for group in groups)


def read(folder: Path) -> Rows:
    """As a run reads a log: its footers, then its values, then its ids. Rows that break a rule are left out."""
    data = DataConfig.model_validate({"logs_uri": str(folder), "features": SPEC, "max_bad_share": 0.99})
    manifest = logs.find(data, [DAY])
    split = ResolvedSplit((DAY,), ())
    vocab = vocabulary.build(data.features, passes.count_values(manifest, data, split))
    (part,) = manifest.parts(data.rows_per_part)
    encoded = passes.encode_part(part, Encoder(vocab), data, split, seed=0)["train"]
    assert np.isfinite(encoded.labels).all()
    assert encoded.row_weights is None or np.isfinite(encoded.row_weights).all()
    return encoded


def read_or_refusal(folder: Path) -> Rows | Refusal:
    try:
        return read(folder)
    except Refusal as refusal:
        said = (refusal.found, refusal.expected, refusal.where, refusal.remedy)
        assert all(said)
        "".join(said).encode()
        return refusal


def as_lists_of_numbers(rows: Rows) -> dict[str, Any]:
    found = {name: getattr(rows, name) for name in ("ids", "labels", "row_weights", "groups")}
    return {name: None if values is None else np.asarray(values).tolist() for name, values in found.items()}


@several()
@given(any_log(), writers)
def test_any_types_and_values_are_read_as_in_plain_types_or_refused(log, options):
    with tempfile.TemporaryDirectory() as name:
        odd, plain = Path(name, "odd"), Path(name, "plain")
        try:
            can_be_read = is_whole(write(log.written, odd, options))
        except (pa.ArrowException, OSError):
            return
        found = read_or_refusal(odd)
        if log.plain is None or not can_be_read:
            return
        assert isinstance(found, Rows), f"{log.written.schema}\n{found}"
        write(log.plain, plain, {"row_group_size": options["row_group_size"]})
        assert as_lists_of_numbers(found) == as_lists_of_numbers(read(plain))


@several()
@given(any_log(), writers, damages())
def test_any_damaged_file_is_read_or_refused(log, options, damage):
    with tempfile.TemporaryDirectory() as name:
        try:
            path = write(log.written, Path(name), options)
        except (pa.ArrowException, OSError):
            return
        path.write_bytes(damage(path.read_bytes()))
        read_or_refusal(Path(name))
