"""What a stage has whose config leaves batch size, passes and L2 open: by its rows."""

import pytest

from schemas.checking import derived
from schemas.defaults import HELD_BACK, as_it_was, by_rows, completed, in_words, left_open
from schemas.stage import StageConfig

SAYS_NOTHING = {"name": "fm", "model": "fm"}
SAYS_ALL = SAYS_NOTHING | {"batch_size": 4096, "epochs": 1, "embedding": {"l2": 0}}


def stage_of(**keys: object) -> StageConfig:
    return StageConfig.model_validate(SAYS_NOTHING | keys)


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "epochs"),
    [(0, 64, 2), (32_000, 64, 2), (32_001, 128, 2), (80_000, 256, 2), (200_000, 512, 1), (10**10, 4096, 1)],
)
def test_fewer_rows_are_divided_into_some_hundred_steps_and_few_are_gone_over_twice(num_rows, batch_size, epochs):
    assert by_rows(num_rows) == (batch_size, epochs, HELD_BACK / batch_size)


def test_what_a_config_says_stays_also_where_it_says_what_it_would_have_anyway():
    says_all = StageConfig.model_validate(SAYS_ALL)
    assert left_open(says_all) == ()
    assert completed(says_all, 1_000, 1) == says_all
    assert in_words(says_all, says_all, 1_000) == ""
    assert left_open(stage_of(epochs=1, embedding={"learning_rate": 0.2})) == ("batch_size", "embedding.l2")


def test_what_is_left_open_stays_so_through_a_config_that_is_made_from_another():
    assert left_open(derived(stage_of(epochs=3), name="other")) == ("batch_size", "embedding.l2")


def test_l2_goes_by_the_batches_that_the_stage_has_be_they_said_or_not():
    own = completed(stage_of(batch_size=1000), 80_000, 1)
    assert (own.batch_size, own.embedding.l2) == (1000, HELD_BACK / 1000)
    assert own.embedding == derived(stage_of().embedding, l2=own.embedding.l2), "the rest of it as it was"


def test_each_of_many_workers_has_a_row_of_every_batch():
    own = completed(stage_of(), 1_000, least_batch=128)
    assert (own.batch_size, own.embedding.l2) == (128, HELD_BACK / 128)


def test_what_goes_on_from_a_registered_model_makes_one_pass():
    assert completed(stage_of(init_from="models:/ctr@champion"), 1_000, 1).epochs == 1


def test_a_champion_goes_on_in_the_batches_and_under_the_l2_that_it_was_trained_with():
    champion = completed(stage_of(), 80_000, 1)
    going_on = as_it_was(stage_of(name="warm"), champion)
    assert (going_on.batch_size, going_on.epochs, going_on.embedding.l2) == (256, 1, champion.embedding.l2)
    assert as_it_was(stage_of(batch_size=64), champion).batch_size == 64


def test_what_its_rows_decided_is_told_with_the_keys_that_would_decide_otherwise():
    stage = stage_of(epochs=3)
    assert in_words(stage, completed(stage, 80_000, 1), 80_000) == (
        "fm: batches of 256, an L2 of 0.0002, for its 80,000 rows; its config leaves batch_size, embedding.l2 open"
    )


def test_nothing_is_told_of_a_stage_that_is_trained_as_one_of_a_large_log():
    stage = stage_of(embedding={"l2": 1e-4})
    assert in_words(stage, completed(stage, 10_000_000, 1), 10_000_000) == ""
