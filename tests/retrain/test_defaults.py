"""A config completed by the rows of its log, which are counted in footers."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from click_logs import SPEC, click_rows, write_day

from pipeline.data.split import ResolvedSplit
from pipeline.nights.over import settings_of
from pipeline.retrain.dataset import find_inputs, identity_of
from pipeline.retrain.defaults import completed
from schemas import defaults
from schemas.config import TrainConfig
from schemas.defaults import tree_of

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]  # of eight rows each, the last held out
ALL_SAID = {"batch_size": 4096, "epochs": 1, "embedding": {"l2": 0}}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for day in DAYS:
        write_day(tmp_path / "logs", day, click_rows())
    return tmp_path / "logs"


def config_of(logs: Path, **keys: object) -> TrainConfig:
    stages = [{"name": "fm", "model": "fm", "days": {"before": "fnn"}} | keys]
    stages.append({"name": "fnn", "model": "fnn", "init_from": "fm", "days": {"last": 1}, "epochs": 5})
    data = {"logs_uri": str(logs), "features": SPEC}
    return TrainConfig.model_validate({"data": data, "stages": stages, "control": True})


def test_each_stage_has_what_the_rows_of_its_own_days_ask_for_and_its_control_the_same(logs):
    config = config_of(logs)
    own, sentences = completed(config, find_inputs(config, lambda event: None))
    assert [sentence.partition(";")[0] for sentence in sentences] == [
        "fm: batches of 64, 2 passes, an L2 of 0.00078, for its 8 rows",
        "fnn: batches of 64, an L2 of 0.00078, for its 8 rows",
    ]
    assert [(stage.batch_size, stage.epochs) for stage in own.plan] == [(64, 2), (64, 5), (64, 5)]
    assert completed(own, find_inputs(config, lambda event: None)) == (own, ())


def test_of_a_random_split_the_share_that_is_trained_on_counts(logs):
    data = {"logs_uri": str(logs), "features": SPEC | {"row_key": "row"}}
    data["split"] = {"by": "random", "row_key": "row", "test_share": 0.5}
    config = TrainConfig.model_validate({"data": data, "stages": [{"name": "fm", "model": "fm"}]})
    dated = find_inputs(config_of(logs), lambda event: None)
    inputs = replace(dated, split=ResolvedSplit(tuple(DAYS), tuple(DAYS), config.data.split))
    assert "for its 12 rows" in completed(config, inputs)[1][0]


def test_a_config_that_leaves_keys_open_and_one_that_says_their_values_have_names_of_their_own(logs):
    left_open, said = config_of(logs), config_of(logs, **ALL_SAID)
    manifest = find_inputs(said, lambda event: None).manifest
    assert left_open.stages[0].batch_size == said.stages[0].batch_size
    assert identity_of(left_open, manifest) != identity_of(said, manifest)
    assert settings_of(left_open) != settings_of(said)


def test_a_config_that_is_kept_leaves_open_again_what_it_left_open(logs):
    for config in (config_of(logs), config_of(logs, **ALL_SAID)):
        again = TrainConfig.model_validate(yaml.safe_load(yaml.safe_dump(tree_of(config))))
        assert again == config
        assert [defaults.left_open(stage) for stage in again.stages] == [
            defaults.left_open(stage) for stage in config.stages
        ]
