"""Every type that Arrow has, in every role: read as the same values in the plain type are, or refused in words."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import quality
from pipeline.data.columns import texts, without_views
from pipeline.data.encode import Encoder
from pipeline.data.hashing import Hashed
from pipeline.data.rows import Rows
from pipeline.data.vocabulary import build, count
from pipeline.profiles.tallies import tally
from schemas import click_log
from schemas.errors import Refusal
from schemas.features import FeatureSpec

TEXT, WHOLE, BINARY = ["1", "0", None, "1", "0"], [1, 0, None, 1, 0], [b"1", b"0", None, b"1", b"0"]
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)]
NO_SCALARS = [pa.struct([("id", pa.int64())]), pa.map_(pa.string(), pa.int64()), pa.list_(pa.string())]


def scalar_columns() -> dict[pa.DataType, list[Any]]:
    """Five values of each type that is no list, the third of them null."""
    columns: dict[pa.DataType, list[Any]] = {pa.null(): [None] * 5}
    columns |= {kind: WHOLE for kind in INTEGERS} | {kind: TEXT for kind in STRINGS} | {kind: BINARY for kind in BYTES}
    columns |= {kind: [x if x is None else kind.to_pandas_dtype()(x) for x in WHOLE] for kind in FLOATS}
    columns[pa.bool_()] = [True, False, None, True, False]
    columns |= {
        kind: [x if x is None else Decimal(x) for x in WHOLE] for kind in (pa.decimal128(9, 2), pa.decimal256(50))
    }
    columns |= {kind: [x if x is None else date(2026, 11, 1 + x) for x in WHOLE] for kind in (pa.date32(), pa.date64())}
    columns[pa.timestamp("us", "UTC")] = [x if x is None else MOMENT for x in WHOLE]
    columns[pa.time32("s")] = [x if x is None else time(x) for x in WHOLE]
    columns[pa.duration("s")] = [x if x is None else timedelta(x) for x in WHOLE]
    columns[NO_SCALARS[0]] = [x if x is None else {"id": x} for x in WHOLE]
    columns[NO_SCALARS[1]] = [x if x is None else [("k", x)] for x in WHOLE]
    return columns


def arrays() -> list[pa.Array]:
    """A column of five rows of each type: scalars, dictionaries of them, lists of either in each layout."""
    scalars = [pa.array(values, kind) for kind, values in scalar_columns().items()]
    sensible = [a for a in scalars if not pa.types.is_nested(a.type) and not pa.types.is_null(a.type)]
    dictionaries = [pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0, 1], pa.int8()), a) for a in sensible]
    lists = []
    for values in [*scalars, *dictionaries, pa.array([["1"], ["0"], None, ["1"], []])]:
        offsets = pa.array([0, 2, 3, None, 3, 5], pa.int32())
        lists.append(pa.ListArray.from_arrays(offsets, values))
        lists.append(pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), values))
        starts, sizes = pa.array([0, 2, 0, 3, 3], pa.int32()), pa.array([2, 1, 0, 0, 2], pa.int32())
        no_row = pa.array([False, False, True, False, False])
        lists.append(pa.ListViewArray.from_arrays(starts, sizes, values, mask=no_row))
        lists.append(pa.FixedSizeListArray.from_arrays(values, 1))
    return [*scalars, *dictionaries, *lists]


def spec_of(role: str, encoder: dict[str, Any] | None) -> FeatureSpec:
    fields: list[dict[str, Any]] = [{"name": "site", "kind": "categorical"}]
    if role in ("categorical", "multi_valued", "numeric"):
        fields.append({"name": "x", "kind": role, "encoder": encoder})
        return FeatureSpec.model_validate({"label": "y", "fields": fields})
    if role == "label":
        return FeatureSpec.model_validate({"label": "x", "fields": fields, "ignored": ["y"]})
    named = {"ignored": ["x"]} if role == "ignored" else {role: "x"}
    return FeatureSpec.model_validate({"label": "y", "fields": fields, **named})


def log_of(column: pa.Array) -> pa.Table:
    others = {"site": ["a", "b", "a", None, "a"], "y": pa.array([1, 0, 0, 1, 0], pa.int8())}
    return pa.table({**others, "x": column})


BY_TEXT = [{"type": "vocabulary"}, {"type": "hash", "num_buckets": 50}]
BY_NUMBER = [{"type": "log_bucket"}, {"type": "quantile_bucket"}, {"type": "scale"}]
ROLES = [
    *[(role, None) for role in ("label", "weight", "group", "row_key", "ignored")],
    *[(kind, encoder) for kind in ("categorical", "multi_valued") for encoder in BY_TEXT],
    *[("numeric", encoder) for encoder in BY_NUMBER],
]

NUM_READ = {"label": 27, "weight": 26, "group": 38, "row_key": 37, "ignored": 160}
NUM_READ |= {"categorical": 38, "multi_valued": 100, "numeric": 27}


def read(log: pa.Table, spec: FeatureSpec) -> tuple[Rows, pa.Table, list[dict[str, Any]]]:
    """What a run reads: ids, counts, and the profile's tallies; rows that break a rule left out. Raises Refusal."""
    click_log.check(log.schema, spec, "here")
    chunks = pa.concat_tables([log.slice(0, 2), log.slice(2)]) if not any_view(log) else log
    table = without_views(chunks).select(spec.columns)
    sound = quality.sound_rows(table, spec, "here", 0.9)
    counts = count(sound, spec)
    by_value = [("field", "ascending"), ("value", "ascending")]
    tallies = tally(sound, quality.bad_rows(table, spec), spec).sort_by(by_value).to_pylist()
    if spec.row_key:
        Hashed.of(sound[spec.row_key]).of_rows()
    return Encoder(build(spec, counts)).encode(sound), counts.sort_by(by_value), tallies


def read_or_refusal(log: pa.Table, spec: FeatureSpec) -> tuple[Rows, pa.Table, list[dict[str, Any]]] | Refusal:
    try:
        return read(log, spec)
    except Refusal as refusal:
        return refusal


def any_view(log: pa.Table) -> bool:
    return "view" in str(log.schema)


def plain(column: pa.Array, role: str) -> pa.Array:
    """The same values, in the type that the role is first thought of in."""
    values = column.to_pylist()
    if role == "multi_valued":
        return pa.array(
            [None if row is None else [in_words(value) for value in row] for row in values], pa.list_(pa.string())
        )
    if role in ("label", "weight", "numeric"):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([in_words(value) for value in values], pa.string())


def in_words(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float | np.floating) else None if value is None else str(value)


@pytest.mark.slow
@pytest.mark.parametrize(("role", "encoder"), ROLES)
def test_each_type_is_read_as_the_plain_one_or_refused(role, encoder):
    spec, num_read = spec_of(role, encoder), 0
    for column in arrays():
        found = read_or_refusal(log_of(column), spec)
        if isinstance(found, Refusal):
            assert str(column.type) in found.found
            assert "where the log is written" in found.remedy or "kind" in found.remedy
            continue
        num_read += 1
        rows, counts, tallies = found
        as_plain = column if role == "ignored" else plain(column, role)
        expected_rows, expected_counts, expected_tallies = read(log_of(as_plain), spec)
        for name in ("ids", "lengths", "weights", "labels", "row_weights", "groups"):
            np.testing.assert_array_equal(getattr(rows, name), getattr(expected_rows, name), f"{column.type}: {name}")
        assert counts == expected_counts, column.type
        assert tallies == expected_tallies, column.type
    assert num_read >= NUM_READ[role]


def categorical(kind: str = "categorical") -> FeatureSpec:
    return FeatureSpec.model_validate({"label": "y", "fields": [{"name": "x", "kind": kind}]})


def labelled(column: pa.Array) -> pa.Table:
    return pa.table({"y": np.zeros(len(column), np.int8), "x": column})


@pytest.mark.parametrize("kind", [pa.string(), pa.int32(), pa.float64(), pa.bool_()])
def test_a_column_of_nulls_alone_is_missing(kind):
    spec = categorical()
    vocabulary = build(spec, count(labelled(pa.array([1, 0], pa.int8()).cast(kind)), spec))
    assert Encoder(vocabulary).encode(labelled(pa.nulls(3))).ids.tolist() == [vocabulary.fields[0].missing] * 3


def test_a_null_within_a_dictionary_is_missing_too():
    spec, values = categorical(), pa.array(["a", None])
    table = labelled(pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), values))
    vocabulary = build(spec, count(table, spec))
    assert vocabulary.values["count"].to_pylist() == [2]
    missing = vocabulary.fields[0].missing
    assert Encoder(vocabulary).encode(table).ids.tolist() == [missing + 1, missing, missing, missing + 1]
    assert {row["value"]: row["count"] for row in tally(table, {}, spec).to_pylist() if row["field"]} == {
        "a": 2,
        None: 2,
    }


def test_floats_that_integers_with_nulls_became_have_the_ids_of_the_integers():
    spec, values = categorical(), [7, None, 2**53 - 1, -3, 10**12]
    encoder = Encoder(build(spec, count(labelled(pa.array(values, pa.int64())), spec)))
    for kind, nan in ((pa.float64(), None), (pa.float64(), float("nan"))):
        floats = pa.array([nan if value is None else float(value) for value in values], kind)
        expected = encoder.encode(labelled(pa.array(values, pa.int64()))).ids
        np.testing.assert_array_equal(encoder.encode(labelled(floats)).ids, expected)
        hashes = [Hashed.of(pa.chunked_array([one])).of_rows() for one in (floats, values)]
        np.testing.assert_array_equal(*hashes)


@pytest.mark.parametrize(
    ("column", "kind", "bad"),
    [
        (pa.array([1.0, 1.5, None, 2.0**53]), "categorical", [1, 3]),
        (pa.array([1.0, float("inf"), float("nan"), -(2.0**60)]), "categorical", [1, 3]),
        (pa.array([1.0, 2.0**24, 0.5, None], pa.float32()), "categorical", [1, 2]),
        (pa.array([[1.0, None], [2.5, 1.0], None, []]), "multi_valued", [1]),
        (pa.array([1.0, 0.5, None, 0.5]).dictionary_encode(), "categorical", [1, 3]),
    ],
)
def test_floats_that_are_no_integers_are_bad_rows_and_the_remedy_is_int64(column, kind, bad):
    spec = categorical(kind)
    (mask,) = quality.bad_rows(labelled(column), spec).values()
    assert mask.nonzero()[0].tolist() == bad
    with pytest.raises(Refusal, match=f"{len(bad)} such rows(.|\n)*Int64"):
        quality.check_rows(labelled(column), spec, "here")
    sound = quality.sound_rows(labelled(column), spec, "here", 0.9)
    assert len(Encoder(build(spec, count(sound, spec))).encode(sound)) == 4 - len(bad)


def broken_text(kind: pa.DataType) -> pa.Array:
    return pa.array([b"a", b"\xff\xfe", None, b"b"], pa.binary()).view(pa.string()).cast(kind)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (broken_text(pa.string()), "categorical"),
        (broken_text(pa.large_string()), "categorical"),
        (pa.array([b"a", b"\xff\xfe", None, b"b"], pa.binary_view()), "categorical"),
        (pa.array([b"a", b"\xff", None, b"b"], pa.binary(1)), "categorical"),
        (broken_text(pa.string()).dictionary_encode(), "categorical"),
        (pa.ListArray.from_arrays(pa.array([0, 1, 3, 3, 4], pa.int32()), broken_text(pa.string())), "multi_valued"),
    ],
)
def test_text_that_is_not_utf_8_is_a_bad_row_and_can_be_written(column, kind):
    spec, table = categorical(kind), without_views(labelled(column))
    (mask,) = quality.bad_rows(table, spec).values()
    assert mask.nonzero()[0].tolist() == [1]
    with pytest.raises(Refusal, match=r"b'\\xff"):
        quality.check_rows(table, spec, "here")
    sound = quality.sound_rows(table, spec, "here", 0.9)
    assert len(Encoder(build(spec, count(sound, spec))).encode(sound)) == 3
    buffer = io.BytesIO()
    pq.write_table(table.filter(pa.array(mask)), buffer)
    assert pq.ParquetFile(buffer).metadata.num_rows == 1


def test_views_of_no_value_at_all_are_read_whatever_index_their_dictionary_has():
    none = pa.DictionaryArray.from_arrays(pa.array([], pa.uint16()), pa.array([], pa.string()))
    column = pa.ListViewArray.from_arrays(pa.array([0]), pa.array([0]), none, mask=pa.array([True]))
    table, spec = without_views(labelled(column)), categorical("multi_valued")
    assert quality.check_rows(table, spec, "here") is None
    assert len(Encoder(build(spec, count(table, spec))).encode(table)) == 1


@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal256(60, 1)])
def test_a_number_beyond_32_bit_floats_is_a_bad_row(kind):
    spec = categorical("numeric")
    column = pa.array([1, None, int(3.4e38), int(-3.5e38)], pa.decimal256(60, 1)).cast(kind)
    (mask,) = quality.bad_rows(labelled(column), spec).values()
    assert mask.nonzero()[0].tolist() == [3]
    with pytest.raises(Refusal, match=r"from -3.403e\+38 to 3.403e\+38"):
        quality.check_rows(labelled(column), spec, "here")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([2**63 + 5, 1], pa.uint64()), [2.0**63, 1]),
        (pa.array([2**53 + 1, 2**24 + 1], pa.int64()), [2.0**53, 2.0**24]),
        (pa.array([np.float16(0.5), np.float16(3)], pa.float16()), [0.5, 3]),
    ],
)
def test_weights_of_any_width_are_numbers(column, expected):
    spec = FeatureSpec.model_validate({"label": "y", "weight": "x", "fields": [{"name": "z", "kind": "categorical"}]})
    table = labelled(column).append_column("z", pa.array(["a", "b"]))
    quality.check_rows(table, spec, "here")
    assert Encoder(build(spec, count(table, spec))).encode(table).row_weights.tolist() == expected


def test_unsigned_integers_above_those_with_a_sign_are_categories_of_their_own():
    spec, table = categorical(), labelled(pa.array([2**63 + 1, 2**63 + 2, 2**64 - 1], pa.uint64()))
    counts = count(table, spec)
    assert set(counts["value"].to_pylist()) == {str(2**63 + 1), str(2**63 + 2), str(2**64 - 1)}
    assert len(set(Encoder(build(spec, counts)).encode(table).ids.tolist())) == 3


LONG = pa.array(["a" * 2**25, "b"])  # 32 MiB; 65 times that are 2.03 GiB


@pytest.mark.slow
@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([LONG] * 65),
        pa.chunked_array([pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), LONG)] * 65),
        pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1] * 65), LONG)]),
    ],
    ids=["text", "lists of text", "a dictionary"],
)
def test_more_text_than_offsets_of_32_bits_can_tell_apart_is_read(column):
    spec = categorical("multi_valued" if pa.types.is_list(column.type) else "categorical")
    table = pa.table({"y": np.zeros(len(column), np.int8), "x": column})
    quality.check_rows(table, spec, "here")
    counts = count(table, spec)
    assert counts["count"].to_pylist() == [65, 65]
    assert len(set(Encoder(build(spec, counts)).encode(table).ids.tolist())) == 2


def test_each_value_of_each_type_has_a_text():
    for column in arrays():
        read = texts(without_views(pa.table({"x": column}))["x"])
        is_missing = [value is None for value in column.to_pylist()]
        assert read.cast(pa.string()).is_null().to_pylist() == is_missing, column.type
    broken = pa.chunked_array([pa.array([b"\xffa", b"b", None])])
    assert texts(broken).to_pylist() == ["\ufffda", "b", None]
    assert texts(pa.chunked_array([[["a", "b"], []]])).to_pylist() == ["['a', 'b']", "[]"]
