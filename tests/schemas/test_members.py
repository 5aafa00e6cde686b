"""How many nets a stage has over its rows, and which stages have several."""

from typing import Any

import pytest

from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load

DATA = {"logs_uri": "/logs", "features": {"label": "click", "fields": [{"name": "a", "kind": "categorical"}]}}
MLP = {"hidden": [8, 4]}


def config_of(*stages: dict[str, Any], **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"data": DATA, "stages": stages, **changes})


def net(name: str = "fnn", **changes: Any) -> dict[str, Any]:
    return {"name": name, "model": "fnn", "mlp": MLP, **changes}


def refused(*stages: dict[str, Any], tmp_path) -> Refusal:
    (tmp_path / "train.yaml").write_text(f"data: {DATA}\nstages: {list(stages)}\n")
    with pytest.raises(Refusal) as refused:
        load(TrainConfig, tmp_path / "train.yaml")
    return refused.value


@pytest.mark.parametrize(
    ("stage", "found"),
    [
        ({"name": "fm", "model": "fm", "members": 2}, "2 members of an fm"),
        (net("fm", members=4, mlp={"rbm": {}}), "4 members of a net whose layers are pretrained by RBMs"),
    ],
    ids=["fm", "rbm"],
)
def test_members_of_what_has_no_layers_or_those_of_rbms_are_refused(tmp_path, stage, found):
    refusal = refused(stage, tmp_path=tmp_path)
    assert refusal.found == found
    assert refusal.where.endswith("train.yaml: stages.fm.members")
    assert "leave members" in refusal.remedy


@pytest.mark.parametrize("members", [0, -1, 1.5, "many"])
def test_a_number_of_members_below_one_or_no_number_is_refused(tmp_path, members):
    assert refused(net(members=members), tmp_path=tmp_path).where.endswith("stages.0.members")


def test_a_control_has_as_many_members_as_its_stage():
    config = config_of({"name": "fm", "model": "fm"}, net(init_from="fm", members=3), control="all")
    assert [stage.members for stage in config.plan] == [1, 3, 3, 3]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({"members": 2}, "2 x fnn of 8x4"),
        ({"mlp": {"hidden": [8]}}, "3 x fnn of 8"),
        ({"mlp": {**MLP, "batch_norm": True, "dropout": 0.1}}, "3 x fnn of 8x4, batch_norm, dropout"),
        ({"model": "deepfm"}, "3 x deepfm of 8x4"),
        ({"model": "fm", "members": 1}, "no layers"),
    ],
    ids=["members", "hidden", "norm", "model", "none"],
)
def test_layers_are_taken_over_from_a_net_of_as_many_members_of_the_same_shape_and_of_no_other(
    tmp_path, later, expected
):
    going_on = {"init_from": "first", "transfer": {"dense": True}, "members": 3}
    first = net("first", members=3)
    assert config_of(first, net(**going_on, model="dnn")).stages[1].members == 3
    refusal = refused(first, net(**{**going_on, **later}), tmp_path=tmp_path)
    assert refusal.found == "transfer.dense from first, which has 3 x fnn of 8x4"
    assert refusal.expected == f"layers like its own: {expected}"
    assert refusal.where.endswith("stages.fnn.transfer.dense")


def test_rows_alone_are_taken_over_whatever_the_members():
    config = config_of(net("first", members=2), net(init_from="first", members=5))
    assert [stage.members for stage in config.stages] == [2, 5]
