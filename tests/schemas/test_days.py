"""Which days stages learn from, by the config alone, and what they take over by them."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.checking import validate
from schemas.config import TrainConfig
from schemas.days import Span
from schemas.errors import Refusal
from schemas.loading import load

DAYS = [date(2026, 11, 1) + timedelta(day) for day in range(5)]
FNN = {"name": "fnn", "model": "fnn", "init_from": "fm"}
SEEN, APART = (False, True, False, 0.0), (True, True, True, 1.0)


def config_of(*stages: dict[str, Any], **settings: Any) -> TrainConfig:
    features = {"label": "click", "fields": [{"name": "user", "kind": "categorical"}]}
    tree = {"data": {"logs_uri": "logs", "features": features}, "stages": stages, **settings}
    return validate(TrainConfig, tree, "train.yaml")


def fm(**keys: Any) -> dict[str, Any]:
    return {"name": "fm", "model": "fm", **keys}


def days_of(*stages: dict[str, Any]) -> dict[str, list[int]]:
    """Of November's first five, those of each stage."""
    config = config_of(*stages)
    return {stage.name: [day.day for day in config.span_of(stage).of(DAYS)] for stage in config.stages}


def taken_over(config: TrainConfig, name: str = "fnn") -> tuple[Any, ...]:
    (transfer,) = (stage.transfer for stage in config.stages if stage.name == name)
    return transfer.w, transfer.v, transfer.w0, transfer.accumulators


def test_a_stage_learns_from_all_days_where_nothing_says_otherwise():
    assert days_of(fm(), {**FNN, "days": "all"}) == {"fm": [1, 2, 3, 4, 5], "fnn": [1, 2, 3, 4, 5]}


def test_last_days_are_the_newest_and_all_where_there_are_fewer():
    assert days_of(fm(days={"last": 2}), {**FNN, "days": {"last": 9}}) == {"fm": [4, 5], "fnn": [1, 2, 3, 4, 5]}


def test_the_days_before_a_stage_end_where_its_own_begin():
    assert days_of(fm(days={"before": "fnn"}), {**FNN, "days": {"last": 2}}) == {"fm": [1, 2, 3], "fnn": [4, 5]}


def test_the_days_before_several_stages_end_where_the_earliest_begins():
    deepfm = {"name": "deepfm", "model": "deepfm", "init_from": "fm", "days": {"last": 3}}
    found = days_of(fm(days={"before": ["fnn", "deepfm"]}), {**FNN, "days": {"last": 1}}, deepfm)
    assert found == {"fm": [1, 2], "fnn": [5], "deepfm": [3, 4, 5]}


def test_one_name_and_a_list_of_it_are_the_same_config():
    one, several = (config_of(fm(days={"before": it}), {**FNN, "days": {"last": 2}}) for it in ("fnn", ["fnn"]))
    assert one.model_dump_json() == several.model_dump_json()


@given(*[st.tuples(st.integers(0, 6), st.none() | st.integers(1, 6)).map(lambda ends: Span(*ends))] * 2)
def test_two_spans_overlap_exactly_if_some_log_has_a_day_of_both(one, other):
    days = range(20)
    assert one.overlaps(other) == bool(set(one.of(days)) & set(other.of(days)))


@pytest.mark.parametrize("net", [{"last": 3}, {"last": 2}, "all"], ids=["more", "fewer", "all"])
def test_from_a_stage_that_has_seen_its_rows_a_stage_takes_over_v_alone_with_new_accumulators(net):
    assert taken_over(config_of(fm(), {**FNN, "days": net})) == SEEN
    assert taken_over(config_of(fm(days={"last": 2}), {**FNN, "days": net})) == SEEN


def test_from_a_stage_of_other_days_it_takes_over_all_with_the_accumulators():
    assert taken_over(config_of(fm(days={"before": "fnn"}), {**FNN, "days": {"last": 2}})) == APART


def test_a_stage_between_that_has_seen_the_rows_counts_as_the_one_that_it_starts_from():
    deepfm = {"name": "deepfm", "model": "deepfm", "init_from": "fnn", "days": {"last": 2}}
    before = {"before": ["fnn", "deepfm"]}
    assert taken_over(config_of(fm(days=before), {**FNN, "days": {"last": 3}}, deepfm), "deepfm") == SEEN
    config = config_of(fm(), {**FNN, "days": {"before": "deepfm"}}, deepfm)
    assert taken_over(config, "deepfm") == SEEN, "fnn has not seen them, but comes from fm, which has"


def test_of_a_registered_model_it_is_not_known_what_it_has_seen():
    assert taken_over(config_of({**FNN, "init_from": "models:/ctr/1", "days": {"last": 2}})) == SEEN
    begun = fm(init_from="models:/ctr/1", days={"before": "fnn"})
    assert taken_over(config_of(begun, {**FNN, "days": {"last": 2}})) == SEEN


@pytest.mark.parametrize(("days", "by_case"), [("all", SEEN), ({"before": "fnn"}, APART)], ids=["seen", "apart"])
def test_what_the_user_says_is_taken_over_in_either_case(days, by_case):
    net = {**FNN, "days": {"last": 2}}
    for keys in ({"w": True}, {"w": False}, {"accumulators": 0.5}, {"w0": True, "v": False}):
        expected = dict(zip(("w", "v", "w0", "accumulators"), by_case, strict=True)) | keys
        assert taken_over(config_of(fm(days=days), {**net, "transfer": keys})) == tuple(expected.values())


@pytest.mark.parametrize("days", ["all", {"before": "fnn"}], ids=["seen", "apart"])
def test_a_resolved_config_leaves_nothing_that_is_taken_over_unsaid_and_stays_as_it_is(days):
    config = config_of(fm(days=days), {**FNN, "days": {"last": 2}})
    for transfer in (config.night.transfer, *(stage.transfer for stage in config.stages)):
        assert None not in transfer.model_dump().values()
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_night_goes_on_with_all_that_the_champion_has_whose_days_are_over():
    night = config_of(fm(), night={"transfer": {"dense": False}}).night.transfer
    assert (night.w, night.w0, night.accumulators, night.dense) == (True, True, 1.0, False)


def refused(*stages: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        config_of(*stages)
    said = str(refusal.value).splitlines()
    assert [line.split()[0] for line in said] == ["found", "expected", "where", "remedy"]
    return refusal.value


def test_days_before_a_stage_that_has_them_all_are_refused():
    refusal = refused(fm(days={"before": "fnn"}), FNN)
    assert refusal.found == "'fnn', whose days begin with the first one"
    assert refusal.where == "train.yaml: stages.fm.days.before"
    assert refusal.remedy.endswith("stages.fnn.days={last: 7}")
    deepfm = {"name": "deepfm", "model": "deepfm", "days": {"before": "fm"}}
    assert "'fm', whose days begin" in refused(deepfm, fm(days={"before": "fnn"}), {**FNN, "days": {"last": 1}}).found


def test_days_before_one_another_in_a_circle_are_refused_with_the_circle():
    assert refused(fm(days={"before": "fm"})).found == "a circle: fm before fm"
    found = {refused(fm(days={"before": "fnn"}), {**FNN, "days": {"before": it}}).found for it in ("fm", ["fm"])}
    assert found == {"a circle: fm before fnn before fm"}


def test_days_before_no_stage_are_refused_with_the_names_of_those_that_there_are():
    refusal = refused(fm(days={"before": ["fnn", "fn"]}), {**FNN, "days": {"last": 2}})
    assert (refusal.found, refusal.expected) == ("'fn'", "the name of another stage: fnn")


@pytest.mark.parametrize(
    ("days", "found", "remedy"),
    [
        ("none", "'none'", "correct"),
        (7, "7", "correct"),
        ({"last": 0}, "0", "correct"),
        ({"lst": 7}, "unknown key 'lst'", "did you mean 'last'?"),
        ({}, "no keys", "correct"),
        ({"last": 7, "before": "fnn"}, "{last: 7, before: fnn}", "correct"),
        ({"before": []}, "[]", "correct"),
    ],
    ids=["word", "number", "zero", "typo", "empty", "both", "before-none"],
)
def test_days_that_say_nothing_are_refused_at_their_key(days, found, remedy):
    refusal = refused(fm(days=days), {**FNN, "days": {"last": 2}})
    assert refusal.found.startswith(found)
    assert refusal.where.startswith("train.yaml: stages.0.days")
    assert refusal.remedy.startswith(remedy)


def test_the_key_that_days_had_before_is_refused_with_the_new_one():
    refusal = refused(fm(last_days=7), FNN)
    assert refusal.found == "unknown key 'last_days'"
    assert refusal.remedy == "the key is called 'days' now: for last_days: 7 write days: {last: 7}"


def test_an_override_says_the_days_of_a_stage_that_says_none(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(
        "data: {logs_uri: logs, features: {label: click, fields: [{name: user, kind: categorical}]}}\n"
        "stages: [{name: fm, model: fm}, {name: fnn, model: fnn, init_from: fm}]\n"
    )
    config = load(TrainConfig, path, ["stages.fnn.days.last=2", "stages.fm.days={before: fnn}"])
    assert [len(config.span_of(stage).of(DAYS)) for stage in config.stages] == [3, 2]
