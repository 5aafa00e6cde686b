import decimal
import enum
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.data.rows import Rows
from pipeline.registry.bundle import Bundle
from pipeline.registry.frames import in_bulk, one_by_one, to_arrow, to_frame
from schemas.errors import Refusal
from schemas.features import FeatureSpec


@pytest.fixture(scope="module")
def log(random_log) -> pa.Table:
    return random_log(200, 1)


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.load(bundle_folder)


def through_json(log: pa.Table) -> pd.DataFrame:
    """What MLflow's scoring server makes of a `dataframe_records` request."""
    return pd.DataFrame(json.loads(json.dumps(log.to_pylist())))


def through_sparse_json(log: pa.Table) -> pd.DataFrame:
    """The same, each record without its missing values."""
    present = [{name: value for name, value in row.items() if value is not None} for row in log.to_pylist()]
    return pd.DataFrame(json.loads(json.dumps(present)))


def as_categories(log: pa.Table) -> pd.DataFrame:
    return log.to_pandas().astype({"site": "category", "hour": "category", "is_mobile": "category"})


FRAMES = {
    "pandas": pa.Table.to_pandas,
    "pandas' nullable types": lambda log: log.to_pandas().convert_dtypes(),
    "Arrow types": lambda log: log.to_pandas(types_mapper=pd.ArrowDtype),
    "categories": as_categories,
    "Python objects": lambda log: pd.DataFrame(log.to_pylist(), dtype=object),
    "JSON": through_json,
    "JSON without nulls": through_sparse_json,
}


def assert_same(found: Rows, expected: Rows) -> None:
    for name in ("ids", "lengths", "weights"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("frame_of", FRAMES.values(), ids=FRAMES.keys())
def test_encode_alone_equals_encode_inside_the_served_model(bundle, frame_of, log):
    assert_same(bundle.encoder.encode(to_arrow(frame_of(log), bundle.spec)), bundle.encoder.encode(log))


@pytest.mark.parametrize("frame_of", FRAMES.values(), ids=FRAMES.keys())
def test_a_row_alone_has_the_ids_it_has_among_others(bundle, frame_of, log):
    # Alone, a missing value makes a column of nothing but nulls, and an integer stays one.
    for i in range(20):
        row = log.slice(i, 1)
        frame = frame_of(row).reindex(columns=log.column_names)
        assert_same(bundle.encoder.encode(to_arrow(frame, bundle.spec)), bundle.encoder.encode(row))


def test_an_integer_that_pandas_made_a_float_is_its_own_text(bundle, random_log):
    frame = random_log(3, 0).to_pandas()
    frame["hour"] = [3.0, float("nan"), 23.0]
    assert to_arrow(frame, bundle.spec)["hour"].to_pylist() == ["3", None, "23"]


def test_values_of_mixed_types_are_texts(bundle, random_log):
    frame = random_log(4, 0).to_pandas()
    frame["site"] = pd.Series([7, "s7", True, None], dtype=object)
    assert to_arrow(frame, bundle.spec)["site"].to_pylist() == ["7", "s7", "true", None]


def test_an_integer_that_has_lost_digits_as_a_float_is_refused(bundle, random_log):
    frame = random_log(2, 0).to_pandas()
    frame["user"] = [float(2**60 + 1), None]
    with pytest.raises(Refusal, match=r"1152921504606846976 as a float(.|\n)*'user'"):
        to_arrow(frame, bundle.spec)
    frame["user"] = pd.array([2**60 + 1, None], "Int64")
    assert to_arrow(frame, bundle.spec)["user"].to_pylist() == [str(2**60 + 1), None]


def test_an_absent_column_is_named(bundle, log):
    with pytest.raises(Refusal, match="no column 'hour', 'price'"):
        to_arrow(log.to_pandas().drop(columns=["hour", "price"]), bundle.spec)


def test_columns_that_are_no_features_are_left_aside(bundle, log):
    frame = log.to_pandas().assign(click=None, note="text")[::-1]
    assert to_arrow(frame, bundle.spec).column_names == list(bundle.spec.feature_columns)


@pytest.mark.parametrize(("column", "value"), [("tags", "a"), ("tags", 3), ("price", "cheap"), ("visits", [1])])
def test_a_value_that_cannot_be_read_is_refused_by_column(bundle, column, value, random_log):
    frame = random_log(2, 0).to_pandas()
    frame[column] = pd.Series([value, value], dtype=object)
    with pytest.raises(Refusal, match=f"column '{column}'"):
        to_arrow(frame, bundle.spec)


class Site(str, enum.Enum):  # noqa: UP042 (a StrEnum's text is its value, this one's is its name)
    NEWS = "news"


OF_KINDS = FeatureSpec.model_validate(
    {
        "label": "click",
        "fields": [
            {"name": "site", "kind": "categorical", "encoder": {"type": "vocabulary", "min_count": 1}},
            {"name": "tags", "kind": "multi_valued", "encoder": {"type": "vocabulary", "min_count": 1}},
            {"name": "price", "kind": "numeric", "encoder": {"type": "scale", "to": "standard"}},
        ],
    }
)
MISSING = [None, float("nan"), pd.NA, pd.NaT]
texts = st.sampled_from(["", "a", "7", "true", "é", np.str_("b"), Site.NEWS])
integers = st.sampled_from([0, 7, -3, 2**53 + 1, 2**63, 2**70, np.int8(5), np.uint64(2**63)])
floats = st.sampled_from([0.0, -0.0, 7.0, 0.5, 1e20, 2.0**53, float("inf"), np.float32(0.1), np.float32(3)])
booleans = st.sampled_from([True, False, np.bool_(True)])
odd = st.sampled_from([b"x", decimal.Decimal("1.50"), 1j, pd.Timestamp("2026-11-01"), {"a": 1}, {"a"}, frozenset("a")])
of_a_type = [texts, integers, floats, booleans]
values = st.one_of(*of_a_type, odd)


def columns_of(one: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(one | st.sampled_from(MISSING), max_size=4)


def lists_of(one: st.SearchStrategy) -> st.SearchStrategy:
    of_row = columns_of(one)
    return columns_of(of_row | of_row.map(tuple) | of_row.map(lambda row: np.array([*row, None], dtype=object)[:-1]))


columns = st.one_of(*(make(one) for one in [*of_a_type, values] for make in (columns_of, lists_of)))
DTYPES = {
    "objects": lambda series: series,
    "inferred": pd.Series.infer_objects,
    "nullable": pd.Series.convert_dtypes,
    "Arrow": lambda series: pd.Series(pa.array(series, from_pandas=True).to_pandas(types_mapper=pd.ArrowDtype)),
    "category": lambda series: series.astype("category"),
    "a slice": lambda series: series.repeat(2).infer_objects().iloc[1:],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of pandas, which sorts the categories
@settings(max_examples=300, deadline=None)
@given(columns, st.sampled_from([*DTYPES]), st.sampled_from(OF_KINDS.fields))
@example([0.0, True], "objects", OF_KINDS.fields[0])
@example([[0.5], [True]], "objects", OF_KINDS.fields[1])
def test_what_is_read_in_bulk_is_what_is_read_one_by_one(column, dtype, field):
    try:
        series = DTYPES[dtype](pd.Series(column, dtype=object))
    except (TypeError, ValueError, OverflowError, AttributeError, pa.ArrowException):
        return  # no such column
    read = in_bulk(series, field)
    if read is not None:
        read.validate(full=True)
        assert read.to_pylist() == one_by_one(series, field).to_pylist()


@pytest.mark.parametrize(
    "frame_of", [pa.Table.to_pandas, through_json, as_categories], ids=["pandas", "JSON", "categories"]
)
def test_a_log_is_read_in_bulk(bundle, frame_of, log):
    frame = frame_of(log)
    assert all(in_bulk(frame[field.name], field) is not None for field in bundle.spec.fields)


def test_records_and_columns_are_rows_as_a_frame_is(log, bundle):
    spec, expected = bundle.spec, to_arrow(log.to_pandas(), bundle.spec)
    for rows in (log.to_pandas(), log.to_pylist(), log.to_pydict()):
        assert to_arrow(to_frame(rows, spec), spec).equals(expected)
    wrapped = {name: [np.array(value) for value in values] for name, values in log.to_pydict().items()}
    assert to_arrow(to_frame(wrapped, spec), spec).equals(expected), "as MLflow's server hands on `instances`"
    of_rows = [dict(zip(wrapped, row, strict=True)) for row in zip(*wrapped.values(), strict=True)]
    assert to_arrow(to_frame(of_rows, spec), spec).equals(expected), "and `inputs`"


def test_one_record_is_one_row_though_a_field_holds_several_values(log, bundle):
    record = log.slice(0, 1).to_pylist()[0] | {"tags": ["a", "b"]}
    for rows in (record, {name: np.array(value) if name == "site" else value for name, value in record.items()}):
        frame = to_frame(rows, bundle.spec)
        assert to_arrow(frame, bundle.spec)["tags"].to_pylist() == [["a", "b"]]


@pytest.mark.parametrize("rows", [None, 3, "text", [], [1, 2], np.zeros((2, 2)), {}])
def test_what_is_no_rows_is_refused_by_the_columns_that_it_lacks(bundle, rows):
    with pytest.raises(Refusal, match="no column"):
        to_arrow(to_frame(rows, bundle.spec), bundle.spec)


def test_columns_of_several_lengths_are_refused(bundle, log):
    with pytest.raises(Refusal, match="found     200 values of 'age', 3 values of 'hour'"):
        to_frame(log.to_pydict() | {"hour": [1, 2, 3]}, bundle.spec)


def test_a_column_that_comes_twice_is_refused(bundle, log):
    frame = log.to_pandas()
    with pytest.raises(Refusal, match="several columns 'hour'"):
        to_arrow(pd.concat([frame, frame[["hour"]]], axis=1), bundle.spec)
