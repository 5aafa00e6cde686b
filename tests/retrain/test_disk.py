from pathlib import Path

import pytest
from bundles import STAGES
from click_logs import SPEC, click_rows, write_day
from six_days import DAYS, config_of

from pipeline.data import logs
from pipeline.data.split import ResolvedSplit
from pipeline.retrain import disk
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.disk import DiskNeed
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    for day in DAYS[:2]:
        write_day(tmp_path / "logs", day, click_rows())
    return config_of(tmp_path / "logs", work_uri=str(tmp_path / "work"), cluster={"num_workers": 0})


@pytest.fixture
def inputs(config: TrainConfig) -> Inputs:
    manifest = logs.find(config.data, DAYS[:2])
    return Inputs(manifest, ResolvedSplit((DAYS[0],), (DAYS[1],)), "a night")


def test_what_a_retrain_writes_by_hand(config, inputs):
    row = disk.bytes_of_row(config.data.features)
    need = disk.need(config, inputs, config.plan, num_ids=100)
    # Two stages and the registered model; rows [w | v] of 1 + 4 floats and an accumulator. Each stage has 4 B a row.
    assert (need.num_tables, need.tables_bytes) == (3, 3 * 100 * 6 * 4)
    assert (need.num_rows, need.rows_bytes) == (16, 16 * (row + 2 * 4))
    refreshed = disk.need(config, inputs, config.plan, num_ids=100, refresh=True)
    assert refreshed.num_tables == 6, "another stage, what it starts from, and its model"
    assert disk.need(config, inputs, (), num_ids=100).num_tables == 0


def test_a_row_by_hand():
    def row(*fields: dict[str, object]) -> int:
        return disk.bytes_of_row(FeatureSpec.model_validate({**SPEC, "fields": fields}))

    assert row({"name": "user", "kind": "categorical"}, {"name": "site", "kind": "categorical"}) == 2 * 4 + 1
    user, tags = {"name": "user", "kind": "categorical"}, {"name": "tags", "kind": "multi_valued"}
    price = {"name": "price", "kind": "numeric", "encoder": {"type": "scale"}}
    assert row(user, {**tags, "combine": "sum"}) == 5 * 4 + 2 + 1
    assert row(user, {**tags, "combine": "mean"}) == 5 * 4 + 2 + 4 + 1
    assert row(user, price) == 2 * 4 + 4 + 1


def test_ray_train_and_a_tracking_server_change_what_lies_in_the_work_folder(config, inputs):
    by_ray = config.model_copy(update={"cluster": config.cluster.model_copy(update={"num_workers": 1})})
    assert disk.need(by_ray, inputs, config.plan, 1).num_tables == 5
    served = config.model_copy(update={"mlflow": config.mlflow.model_copy(update={"tracking_uri": "http://there"})})
    assert disk.need(served, inputs, config.plan, 1).num_tables == 2


def test_what_cannot_fit_is_refused_with_what_it_is_made_of(config):
    need = DiskNeed(num_rows=10**12, rows_bytes=40 * 10**12, num_ids=10**7, num_tables=4, tables_bytes=3 * 10**9)
    with pytest.raises(Refusal) as refused:
        disk.check(config, need)
    assert refused.value.found.endswith("GB free")
    assert refused.value.expected == (
        "room for 40,003.0 GB: 40,000.0 GB of 1,000,000,000,000 rows, 3.0 GB of 4 tables of 10,000,000 ids"
    )
    disk.check(config, DiskNeed(1, 40, None, 4, 0))


def test_an_object_store_has_no_end(config):
    remote = config.model_copy(update={"work_uri": "memory://work"})
    assert disk.free_bytes(remote) is None
    disk.check(remote, DiskNeed(10**12, 40 * 10**12, None, 4, 0))


def test_ids_that_nobody_has_counted_are_said_to_be_unknown(config, inputs):
    assert str(disk.need(config, inputs, config.plan, None)).endswith("3 tables of ids that are not counted yet")
    assert len(STAGES) == 2
