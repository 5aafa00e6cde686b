"""Held-out rows added up, and the same rows kept one by one."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import bundle_logits, write_random_bundle
from click_logs import SPEC, click_rows, write_random_log

from jobs import errors
from pipeline.data import logs
from pipeline.data.split import ResolvedSplit
from pipeline.registry.bundle import Bundle
from pipeline.scoring.held_out import evaluate, gather, learned_days, score_held_out
from schemas.config import DataConfig, RandomSplit
from schemas.errors import Refusal
from schemas.night import GateConfig

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
DAYS = (date(2026, 11, 1), date(2026, 11, 2))
BY_DATE = ResolvedSplit(DAYS[:1], DAYS[1:])
BY_KEY = ResolvedSplit(DAYS, DAYS, RandomSplit(by="random", row_key="row", test_share=0.3))
SPLITS = pytest.mark.parametrize("split", [BY_DATE, BY_KEY], ids=["by date", "by key"])


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_random_bundle(tmp_path / "bundle", click_rows())


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Two days of 400 rows, in parts of two row groups each."""
    write_random_log(tmp_path / "logs", num_days=2, rows_per_day=400)
    return DataConfig.model_validate({"logs_uri": str(tmp_path / "logs"), "features": SPEC, "rows_per_part": 200})


def held_out_groups(data: DataConfig, split: ResolvedSplit) -> list[pa.Table]:
    """Of each row group its held-out rows, in the order of days, parts and row groups."""
    groups = []
    for part in logs.find(data, split.test_days).parts(data.rows_per_part):
        for uri, group in part.row_groups:
            table = pq.ParquetFile(uri).read_row_group(group)
            groups.append(table.filter(pa.array(split.is_held_out(table, part.day))))
    return groups


@SPLITS
def test_rows_are_kept_in_order_with_the_models_logits_to_the_bit(bundle, data, split):
    manifest = logs.find(data, DAYS)
    kept = score_held_out(bundle, manifest, data, split, ["site"])
    expected = held_out_groups(data, split)
    assert 100 < sum(map(len, expected)) <= 400
    assert np.array_equal(kept.logits, np.concatenate([bundle_logits(bundle, group) for group in expected]))
    together = pa.concat_tables(expected)
    assert kept.labels.tolist() == together["click"].to_pylist()
    assert kept.rows["site"].to_pylist() == together["site"].to_pylist()


def test_a_day_counts_as_learned_unless_the_model_held_out_the_same_rows_of_it(bundle):
    def of(**changes):
        its = BY_KEY.by_key.model_copy(update=changes)
        origin = bundle.contents.origin.model_copy(update={"held_out_by": its})
        return replace(bundle, contents=bundle.contents.model_copy(update={"origin": origin}))

    both = ResolvedSplit((), DAYS)
    assert learned_days(bundle, both) == DAYS[:1], "of which tests/bundles.py tells"
    assert learned_days(bundle, BY_DATE) == ()
    assert learned_days(bundle, BY_KEY) == DAYS[:1], "it does not say that it held these rows out"
    assert learned_days(of(), BY_KEY) == ()
    assert learned_days(of(test_share=0.4), BY_KEY) == (), "the lowest 0.3 are among the lowest 0.4"
    assert learned_days(of(test_share=0.2), BY_KEY) == DAYS[:1]
    assert learned_days(of(seed=1), BY_KEY) == DAYS[:1]
    assert learned_days(of(), both) == DAYS[:1], "of a whole day it has learned the rest"


@SPLITS
def test_the_figures_are_those_of_the_rows_kept_one_by_one(bundle, data, split):
    manifest = logs.find(data, DAYS)
    added_up = evaluate(bundle, manifest, data, split).metrics().as_dict()
    assert added_up == pytest.approx(score_held_out(bundle, manifest, data, split).sums.metrics().as_dict(), rel=1e-12)
    assert added_up["rows"] == sum(map(len, held_out_groups(data, split)))
    assert "gauc" in added_up


def test_a_bad_row_is_refused_or_left_out_by_both(bundle, data):
    path = Path(data.logs_uri, f"date={DAYS[1]}", "part-0.parquet")
    table = pq.read_table(path, partitioning=None)
    click = table["click"].to_numpy().copy()
    click[7] = 9
    pq.write_table(table.set_column(table.column_names.index("click"), "click", pa.array(click)), path)
    manifest = logs.find(data, DAYS)
    for judge in (evaluate, score_held_out):
        with pytest.raises(Refusal, match=r"9 \(1 such rows\)"):
            judge(bundle, manifest, data, BY_DATE)
    lenient = data.model_copy(update={"max_bad_share": 0.01})
    assert evaluate(bundle, manifest, lenient, BY_DATE).metrics().rows == 399
    assert score_held_out(bundle, manifest, lenient, BY_DATE).sums.metrics().rows == 399


def test_a_model_is_evaluated_by_its_own_columns_whatever_the_config_reads(bundle, data):
    manifest = logs.find(data, DAYS)
    fewer = data.features.model_copy(update={"fields": data.features.fields[1:]})
    other = data.model_copy(update={"features": fewer})
    assert evaluate(bundle, manifest, other, BY_DATE).metrics() == evaluate(bundle, manifest, data, BY_DATE).metrics()


def test_logits_that_are_not_finite_are_a_failure_in_words(bundle, data):
    path = Path(data.logs_uri, f"date={DAYS[1]}", "part-0.parquet")
    table = pq.read_table(path, partitioning=None)
    price = pa.array([3e38] * len(table))  # within the contract, and far beyond the days that scaled it
    pq.write_table(table.set_column(table.column_names.index("price"), "price", price), path)
    manifest = logs.find(data, DAYS)
    for judge in (evaluate, score_held_out):
        with pytest.raises(Exception, match="no finite score") as failed:
            judge(bundle, manifest, data, BY_DATE)
        assert "no finite score of 400 of 400 rows" in (errors.in_words(failed.value) or "")


def test_slices_may_be_columns_of_lists_or_of_bytes_that_are_no_text(bundle, data):
    for path in Path(data.logs_uri).glob("*/*.parquet"):
        rows = pq.read_table(path, partitioning=None)
        odd = pa.array([[b"\xff", b"b"][row % 2] for row in range(len(rows))])
        pq.write_table(rows.append_column("odd", odd), path, row_group_size=100)
    data = DataConfig.model_validate(data.model_dump() | {"features": {**SPEC, "ignored": ["odd"]}})
    kept = score_held_out(bundle, logs.find(data, DAYS), data, BY_DATE, ["odd", "tags"])
    gate = GateConfig(slices=("odd", "tags"), slice_min_rows=20, num_replicates=20)
    found = {(one.column, one.value) for one in gather(kept, kept, gate, seed=0).slices}
    assert {("odd", "\ufffd"), ("odd", "b"), ("tags", "['a']"), ("tags", "[]")} <= found
