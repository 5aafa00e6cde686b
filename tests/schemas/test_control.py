"""Plans with controls, and what is refused of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.config import TrainConfig
from schemas.stage import MLPConfig, StageConfig

FM = {"name": "fm", "model": "fm", "epochs": 0.5}
FNN = {"name": "fnn", "model": "fnn", "init_from": "fm", "epochs": 2}
DEEPFM = {"name": "deepfm", "model": "deepfm", "init_from": "fnn", "epochs": 0.25}


def config_of(*stages: dict[str, Any], validation_share: float = 0.0, **settings: Any) -> TrainConfig:
    features = {"label": "click", "fields": [{"name": "user", "kind": "categorical"}]}
    data = {"logs_uri": "logs", "features": features, "validation_share": validation_share}
    return TrainConfig.model_validate({"data": data, "stages": stages, **settings})


def plan_of(*stages: dict[str, Any], control: bool | str = True) -> dict[str, StageConfig]:
    return {stage.name: stage for stage in config_of(*stages, control=control).plan}


def test_without_control_the_plan_is_the_stages():
    config = config_of(FM, FNN, DEEPFM)
    assert config.plan == config.stages


def test_a_control_follows_each_stage_that_starts_from_another():
    assert list(plan_of(FM, FNN, DEEPFM)) == ["fm", "fnn", "fnn-control", "deepfm", "deepfm-control"]


def test_a_control_says_whose_it_is_and_starts_from_none():
    plan = plan_of(FM, FNN, DEEPFM)
    assert {name: stage.control_of for name, stage in plan.items() if stage.control_of} == {
        "fnn-control": "fnn",
        "deepfm-control": "deepfm",
    }
    assert [plan[name].init_from for name in ("fnn-control", "deepfm-control")] == [None, None]


def test_a_control_goes_over_its_days_as_often_as_its_stage_and_has_those_that_the_time_buys():
    plan = plan_of(FM, FNN, {**DEEPFM, "days": {"last": 2}})
    assert (plan["fnn-control"].epochs, plan["deepfm-control"].epochs) == (2, 0.25)
    assert {plan[name].days for name in ("fnn-control", "deepfm-control")} == {"affordable"}


def test_with_all_controls_one_more_has_the_days_of_its_stage():
    plan = plan_of(FM, {**FNN, "days": {"last": 2}, "control": {"optimizer": {"name": "sgd"}}}, control="all")
    assert list(plan) == ["fm", "fnn", "fnn-control", "fnn-alone"]
    affordable, alone = plan["fnn-control"].model_dump(), plan["fnn-alone"].model_dump()
    assert {name for name in alone if alone[name] != affordable[name]} == {"name", "days"}
    assert plan["fnn-alone"].days == plan["fnn"].days


@pytest.mark.parametrize(
    "stages",
    [
        [FM, {"name": "dnn", "model": "dnn", "days": "affordable"}],
        [FM, {"name": "dnn", "model": "dnn", "days": "affordable", "control_of": "fnn"}, FNN],
        [FM, FNN, {**FNN, "name": "other", "days": "affordable", "control_of": "fnn"}],
    ],
    ids=["of-nothing", "before-its-stage", "from-another"],
)
def test_only_a_control_after_its_stage_has_a_time_to_go_by(stages):
    with pytest.raises(ValidationError, match=r"on affordable days\nexpected  a control_of an earlier stage"):
        config_of(*stages)


def test_the_control_of_an_fnn_is_a_dnn_and_of_a_deepfm_a_deepfm():
    plan = plan_of(FM, FNN, DEEPFM)
    assert (plan["fnn-control"].model, plan["deepfm-control"].model) == ("dnn", "deepfm")


def test_a_control_is_trained_as_its_stage_where_nothing_says_otherwise():
    settings = {
        "mlp": {"hidden": [8], "dropout": 0.5},
        "batch_size": 64,
        "embedding": {"name": "adam", "learning_rate": 0.002},
        "optimizer": {"learning_rate": 0.02, "layer_decay": 0.5},
        "schedule": {"type": "constant"},
    }
    plan = plan_of(FM, {**FNN, **settings})
    own, its = plan["fnn"].model_dump(), plan["fnn-control"].model_dump()
    assert {name for name in own if own[name] != its[name]} == {"name", "model", "init_from", "days", "control_of"}


def test_what_a_control_has_to_itself_replaces_the_stages():
    fnn = {
        **FNN,
        "embedding": {"learning_rate": 0.5},
        "optimizer": {"learning_rate": 0.02},
        "control": {"embedding": {"learning_rate": 0.25, "frozen_steps": 7}},
    }
    control = plan_of(FM, fnn)["fnn-control"]
    assert (control.embedding.learning_rate, control.embedding.frozen_steps) == (0.25, 7)
    assert control.optimizer.learning_rate == 0.02
    control = plan_of(FM, {**fnn, "control": {"optimizer": {"name": "sgd"}}})["fnn-control"]
    assert (control.embedding.learning_rate, control.optimizer.name) == (0.5, "sgd")


def test_random_rows_are_not_frozen_for_their_control():
    plan = plan_of(FM, {**FNN, "embedding": {"learning_rate": 0.5, "frozen_steps": 100}})
    assert (plan["fnn"].embedding.frozen_steps, plan["fnn-control"].embedding.frozen_steps) == (100, 0)
    assert plan["fnn-control"].embedding.learning_rate == 0.5


def test_a_stage_with_the_name_of_a_control_is_refused():
    clash = {"name": "fnn-control", "model": "dnn"}
    with pytest.raises(ValidationError, match=r"adds a stage 'fnn-control', which is there already"):
        config_of(FM, FNN, clash, control=True)
    assert [stage.name for stage in config_of(FM, FNN, clash).plan] == ["fm", "fnn", "fnn-control"]


def test_the_control_of_an_unknown_stage_is_refused():
    with pytest.raises(ValidationError, match=r"'dnn' is the control of 'fn', which is no stage"):
        config_of(FM, FNN, {"name": "dnn", "model": "dnn", "control_of": "fn"})


@pytest.mark.parametrize("position", ["before", "after"])
def test_a_control_of_ones_own_may_stand_before_its_stage_or_after_it(position):
    dnn = {"name": "dnn", "model": "dnn", "control_of": "fnn"}
    stages = [FM, dnn, FNN] if position == "before" else [FM, FNN, dnn]
    assert next(stage for stage in config_of(*stages).plan if stage.name == "dnn").control_of == "fnn"


def test_early_stopping_without_validation_rows_is_refused():
    stopping = {**FM, "early_stop": {}}
    with pytest.raises(ValidationError, match=r"stage 'fm' with early_stop needs validation rows"):
        config_of(stopping)
    assert config_of(stopping, validation_share=0.05).stages[0].early_stop is not None


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_without_validation_rows_is_refused(method):
    with pytest.raises(ValidationError, match=rf"calibration '{method}' needs validation rows"):
        config_of(FM, calibration=method)
    assert config_of(FM, calibration=method, validation_share=0.05).calibration == method


def test_rbm_with_batch_norm_is_refused():
    with pytest.raises(ValidationError, match=r"rbm pretrains what batch_norm would normalise away"):
        MLPConfig.model_validate({"rbm": {}, "batch_norm": True})
    assert MLPConfig.model_validate({"rbm": {}}).rbm is not None
