from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.data import split
from schemas.config import DataConfig
from schemas.errors import Refusal

DAYS = tuple(date(2026, 11, 1) + timedelta(number) for number in range(6))


def data_of(**keys: Any) -> DataConfig:
    spec = {"label": "click", "fields": [{"name": "site", "kind": "categorical"}]}
    shares = {"validation_share": keys.pop("validation_share", 0.0)}
    return DataConfig.model_validate({"logs_uri": "/logs", "features": spec, "split": keys, **shares})


def test_validation_days_lie_between_those_that_are_trained_on_and_the_held_out_ones():
    resolved = split.resolve(DAYS, data_of(validation_dates=[DAYS[4], DAYS[3]]))
    assert resolved.train_days == DAYS[:3]
    assert resolved.validation_days == DAYS[3:5]
    assert resolved.test_days == DAYS[5:]
    assert resolved.days == DAYS


def test_days_between_the_last_training_day_and_validation_may_be_left_out():
    resolved = split.resolve(DAYS, data_of(train_to=DAYS[1], validation_dates=[DAYS[3]]))
    assert resolved.days == (DAYS[0], DAYS[1], DAYS[3], DAYS[5])


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"validation_dates": [date(2026, 12, 24)]}, "no day 2026-12-24"),
        ({"validation_dates": [DAYS[5]]}, "validation day 2026-11-06, and 2026-11-06 is held out"),
        ({"validation_dates": [DAYS[0]]}, "no training day from 2026-11-01 to before 2026-11-01"),
    ],
    ids=["absent", "the newest", "the oldest"],
)
def test_validation_days_that_the_log_has_not_or_that_leave_nothing_to_train_on_are_refused(keys, found):
    with pytest.raises(Refusal) as refused:
        split.resolve(DAYS, data_of(**keys))
    assert refused.value.found.startswith(found)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"train_to": DAYS[3], "validation_dates": [DAYS[3]]}, "2026-11-04 is among the training days"),
        ({"test_dates": [DAYS[3]], "validation_dates": [DAYS[3]]}, "not before the first held-out day"),
        ({"validation_dates": [DAYS[3]], "validation_share": 0.1}, "choose one of them"),
    ],
    ids=["trained on", "held out", "and a share"],
)
def test_validation_days_that_are_used_otherwise_too_are_refused(keys, words):
    with pytest.raises(ValidationError, match=words):
        data_of(**keys)


def test_a_log_of_one_day_is_refused_with_the_split_that_takes_it():
    with pytest.raises(Refusal, match="one day, 2026-11-01, which is held out") as refused:
        split.resolve(DAYS[:1], data_of())
    assert "data.split={by: random, row_key: COLUMN}" in refused.value.remedy
