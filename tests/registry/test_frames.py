import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data.rows import Rows
from pipeline.registry.bundle import Bundle
from pipeline.registry.frames import to_arrow
from schemas.errors import Refusal


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
