"""What a label is under each objective, and what only an objective of clicks can be asked for."""

from typing import Any

import pyarrow as pa
import pytest

from schemas import click_log
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec
from schemas.loading import load

FIELDS = [{"name": "a", "kind": "categorical"}]
STAGES = [{"name": "fm", "model": "fm"}]


def spec_of(objective: str) -> FeatureSpec:
    return FeatureSpec.model_validate({"label": "y", "objective": objective, "fields": FIELDS})


def log_of(kind: pa.DataType) -> pa.Schema:
    return pa.schema([("a", pa.string()), ("y", kind)])


@pytest.mark.parametrize(
    ("objective", "kinds"),
    [
        ("binary", [pa.int8(), pa.float64(), pa.bool_()]),
        ("multiclass", [pa.string(), pa.int64(), pa.bool_(), pa.dictionary(pa.int32(), pa.string()), pa.float64()]),
        ("regression", [pa.float32(), pa.int64(), pa.float16(), pa.decimal128(10, 2), pa.uint8()]),
    ],
)
def test_a_label_has_a_type_of_its_objective(objective, kinds):
    for kind in kinds:
        click_log.check(log_of(kind), spec_of(objective), "here")


@pytest.mark.parametrize(
    ("objective", "kind", "remedy"),
    [
        ("binary", pa.string(), "set `objective` in the feature spec to multiclass or regression"),
        ("multiclass", pa.date32(), "set `objective` in the feature spec to regression"),
        ("multiclass", pa.null(), "set `objective`"),
        ("regression", pa.string(), "set `objective` in the feature spec to multiclass"),
        ("regression", pa.bool_(), "set `objective` in the feature spec to multiclass"),
        ("regression", pa.dictionary(pa.int32(), pa.string()), "set `objective` in the feature spec to multiclass"),
    ],
)
def test_an_objective_that_does_not_fit_the_labels_type_is_refused_and_named(objective, kind, remedy):
    with pytest.raises(Refusal) as refusal:
        click_log.check(log_of(kind), spec_of(objective), "part-7.parquet")
    assert refusal.value.found.startswith("column 'y' of type")
    assert remedy in refusal.value.remedy


def test_a_spec_without_an_objective_is_of_clicks_and_is_written_without_one():
    plain = FeatureSpec.model_validate({"label": "y", "fields": FIELDS})
    assert plain == spec_of("binary")
    assert "objective" not in plain.model_dump_json()
    for objective in ("multiclass", "regression"):
        assert FeatureSpec.model_validate_json(spec_of(objective).model_dump_json()) == spec_of(objective)


def refused(tmp_path, features: dict[str, Any] | None = None, **changes: Any) -> Refusal:
    data = {"logs_uri": "/logs", "features": {"label": "y", "objective": "multiclass", "fields": FIELDS}}
    data |= {"features": {**data["features"], **(features or {})}, **changes.pop("data", {})}
    tree = {"data": data, "stages": STAGES, **changes}
    (tmp_path / "train.yaml").write_text(f"{tree}\n".replace("(", "[").replace(")", "]"))
    with pytest.raises(Refusal) as refused:
        load(TrainConfig, tmp_path / "train.yaml")
    return refused.value


@pytest.mark.parametrize("objective", ["multiclass", "regression"])
@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"data": {"negative_share": 0.5}}, "data.negative_share"),
        ({"stages": [{**STAGES[0], "negative_share": 0.5}]}, "stages.fm.negative_share"),
        ({"calibration": "platt", "data": {"validation_share": 0.1}}, "calibration"),
        ({"night": {"gate": {"min_auc": 0.6}}}, "night.gate.min_auc"),
        ({"night": {"gate": {"calibration": [0.9, 1.1]}}}, "night.gate.calibration"),
        ({"night": {"gate": {"max_auc_error": 0.1}}}, "night.gate.max_auc_error"),
        ({"night": {"gate": {"min_positives": 3}}}, "night.gate.min_positives"),
        ({"night": {"quality": {"label_rate_ratio": [0.9, 1.1]}}}, "night.quality.label_rate_ratio"),
    ],
)
def test_what_speaks_of_clicks_is_refused_where_there_are_none(tmp_path, objective, changes, where):
    refusal = refused(tmp_path, {"objective": objective}, **changes)
    assert refusal.where.endswith(where)
    assert refusal.found.endswith(f"where data.features.objective is {objective}")


def test_an_objective_that_nobody_knows_is_refused(tmp_path):
    assert refused(tmp_path, {"objective": "ranking"}).where.endswith("data.features.objective")


def test_a_resolved_config_of_another_objective_can_be_read_again():
    data = {"logs_uri": "/logs", "features": spec_of("regression").model_dump()}
    config = TrainConfig.model_validate({"data": data, "stages": STAGES})
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config
