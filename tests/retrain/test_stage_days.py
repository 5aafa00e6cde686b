"""Stages and the days that a log has for them; what is said where one has seen the rows of another."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bundles import STAGES
from six_days import DAYS, config_of

from pipeline.retrain import stage_days
from schemas.config import TrainConfig
from schemas.errors import Refusal

FM, DEEPFM = STAGES


def plan_of(fm: Any, deepfm: Any, **keys: Any) -> TrainConfig:
    return config_of(Path("/logs"), stages=[{**FM, "days": fm}, {**DEEPFM, "days": deepfm, **keys}])


def said(config: TrainConfig, *learned_before: date) -> tuple[str, ...]:
    return stage_days.seen_before(config, DAYS, learned_before)


def test_days_before_a_stage_that_has_all_that_the_log_has_are_refused_with_their_number():
    config = plan_of({"before": "deepfm"}, {"last": 6})
    stage_days.require(plan_of({"before": "deepfm"}, {"last": 5}), DAYS)
    with pytest.raises(Refusal) as refused:
        stage_days.require(config, DAYS)
    assert refused.value.found == f"6 training days, {DAYS[0]} to {DAYS[-1]}, and none of them before the newest 6"
    assert refused.value.expected == "at least one for stage 'fm'"
    assert refused.value.where == "stages.fm.days"


def test_of_a_stage_whose_rows_its_origin_has_seen_is_said_what_it_takes_over():
    words = "rows of deepfm: fm has seen their labels; deepfm takes over v with new accumulators"
    assert said(plan_of("all", "all")) == said(plan_of({"last": 3}, {"last": 2})) == (words,)
    (told,) = said(plan_of("all", {"last": 2}, transfer={"w": True, "accumulators": 0.1}))
    assert told.endswith("deepfm takes over w, v with its accumulators times 0.1")


def test_of_stages_with_days_of_their_own_there_is_nothing_to_say():
    assert said(plan_of({"before": "deepfm"}, {"last": 2})) == ()


def test_a_registered_model_that_has_learned_the_days_is_named():
    config = plan_of("all", {"last": 2}, init_from="models:/ctr/1")
    (told,) = said(config, DAYS[0], DAYS[4])
    assert told.startswith("rows of deepfm: models:/ctr/1 has seen their labels;")
    assert said(config, DAYS[3]) == ()
    chain = config_of(Path("/logs"), stages=[{**FM, "init_from": "models:/ctr/1"}, DEEPFM])
    assert [words.partition(" seen ")[0] for words in said(chain, DAYS[0])] == [
        "rows of fm: models:/ctr/1 has",
        "rows of deepfm: fm and models:/ctr/1 have",
    ]
