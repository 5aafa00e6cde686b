"""Ids that a log's values would have: exact of a small log, and of a large one near enough to buy memory by."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click_logs import write_day

from pipeline.data import estimated_ids, logs, passes, vocabulary
from pipeline.data.split import resolve
from pipeline.synthetic import log
from schemas.config import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

FIELDS = [
    {"name": "user_id", "kind": "categorical", "encoder": {"type": "vocabulary", "min_count": 2}},
    {"name": "site_id", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 64}},
    {"name": "interests", "kind": "multi_valued"},
    {"name": "num_past_views", "kind": "numeric", "encoder": {"type": "log_bucket"}},
    {"name": "price", "kind": "numeric"},
    {"name": "user_ctr", "kind": "numeric", "encoder": {"type": "scale"}},
]
OTHERS = ["row_id", "item_id", "advertiser_id", "category", "country", "device", "hour", "balance_delta"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Of twenty days, in row groups of 500 rows."""
    logs_uri = tmp_path_factory.mktemp("logs")
    log.generate(str(logs_uri), 20, 2500, 3)
    for path in logs_uri.rglob("*.parquet"):
        rows = pa.parquet.read_table(path, partitioning=None)
        pa.parquet.write_table(rows, path, row_group_size=500)
    spec = FeatureSpec.model_validate({"label": "click", "ignored": OTHERS, "fields": FIELDS})
    return DataConfig(logs_uri=str(logs_uri), features=spec)


def estimate(data: DataConfig, most_rows: int) -> estimated_ids.IdEstimate:
    days = logs.days_of(data)
    return estimated_ids.estimate(logs.find(data, days), data, resolve(days, data), most_rows)


def test_ids_of_a_small_log_are_those_of_its_vocabulary(data):
    days = logs.days_of(data)
    counts = passes.count_values(logs.find(data, days), data, resolve(days, data))
    vocab = vocabulary.build(data.features, counts)
    found = estimate(data, 50_000)
    assert found.is_exact
    assert found.num_ids == vocab.num_ids
    assert found.by_field["site_id"] == 2 + 64


@pytest.mark.parametrize("most_rows", [5_000, 20_000])
def test_ids_of_a_large_log_are_estimated_from_rows_of_all_its_days(data, most_rows):
    exact, found = estimate(data, 50_000), estimate(data, most_rows)
    assert (found.counted_rows, found.num_rows) == (most_rows, 50_000)
    assert not found.is_exact
    for name in ("site_id", "price", "user_ctr"):
        assert found.by_field[name] == exact.by_field[name], "of these, rows add none"
    assert 0.7 * exact.num_ids < found.num_ids < 1.6 * exact.num_ids


def test_bad_rows_are_refused_as_training_would(data, tmp_path):
    days = logs.days_of(data)
    rows = pa.parquet.read_table(f"{data.logs_uri}/date={days[0]}/part-0.parquet", partitioning=None)
    label = rows.column_names.index("click")
    write_day(tmp_path, date(2026, 11, 1), rows.set_column(label, "click", pa.array([7] * len(rows))))
    write_day(tmp_path, date(2026, 11, 2), rows)
    with pytest.raises(Refusal, match="0 or 1 in every row"):
        estimate(DataConfig(logs_uri=str(tmp_path), features=data.features), 10_000)


def test_a_log_of_one_large_file_is_read_by_row_groups_from_all_over_it(tmp_path: Path):
    spec = FeatureSpec.model_validate({"label": "click", "fields": [{"name": "user", "kind": "categorical"}]})
    rows = pa.table({"click": [0, 1] * 5000, "user": [f"u{number // 2}" for number in range(10_000)]})
    for day in (1, 2):
        write_day(tmp_path, date(2026, 11, day), rows, row_group_size=100)
    found = estimate(DataConfig(logs_uri=str(tmp_path), features=spec), 2000)
    assert found.by_field["user"] == pytest.approx(5002, rel=0.1)
