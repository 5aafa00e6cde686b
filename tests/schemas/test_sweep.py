"""What is drawn."""

import json

import pytest
from sweep_folder import RATE, settings_of, write_config

from schemas.sweep import Values, draw, draw_trials


def test_draws_lie_within_their_bounds_and_no_two_trials_are_alike():
    space = {
        "a": {"uniform": [-1, 1]},
        "b": {"log_uniform": [1e-4, 1]},
        "c": {"integer": [2, 4]},
        "d": {"choice": "xy"},
    }
    space["d"] = {"choice": ["x", [1, 2]]}
    trials = draw(settings_of(space, trials=200))
    assert len({json.dumps(values) for values in trials}) == 200
    assert all(-1 <= values["a"] <= 1 and 1e-4 <= values["b"] <= 1 for values in trials)
    assert {values["c"] for values in trials} == {2, 3, 4}
    assert {str(values["d"]) for values in trials} == {"x", "[1, 2]"}
    small = sum(values["b"] < 0.01 for values in trials)
    assert 70 < small < 130, "half of the draws of a logarithm lie in the lower half of the powers of ten"


def test_more_trials_begin_with_the_fewer_and_another_seed_draws_others():
    space = {RATE: {"log_uniform": [0.001, 0.1]}, "table.dimension": {"integer": [4, 64]}}
    eight = draw(settings_of(space, trials=8))
    assert draw(settings_of(space, trials=16))[:8] == eight
    assert draw(settings_of(dict(reversed(space.items())), trials=8)) == eight, "whatever the order of the keys"
    assert draw(settings_of(space, trials=8, seed=1)) != eight


@pytest.mark.parametrize(
    ("values", "value", "bound"),
    [
        ({"uniform": [0.0, 1.0]}, 0.97, 1.0),
        ({"uniform": [0.0, 1.0]}, 0.9, None),
        ({"log_uniform": [1e-4, 1.0]}, 1.4e-4, 1e-4),
        ({"log_uniform": [1e-4, 1.0]}, 0.05, None),
        ({"integer": [2, 8]}, 2, 2.0),
        ({"integer": [2, 8]}, 3, None),
        ({"choice": [[16], [64]]}, [64], None),
    ],
)
def test_a_value_at_a_bound_of_what_it_was_drawn_from_is_told_from_one_within(values, value, bound):
    assert Values.model_validate(values).bound_near(value) == bound


def test_a_space_of_six_gives_six_trials_at_most():
    space = {"table.dimension": {"integer": [1, 3]}, RATE: {"choice": [0.1, 0.2]}}
    assert len(draw(settings_of(space, trials=16))) == 6


def test_a_draw_that_the_config_refuses_is_a_trial_of_its_own(tmp_path):
    settings = settings_of({RATE: {"choice": [-1, 0.1]}}, trials=2)
    trials = draw_trials(settings, write_config(tmp_path) / "train.yaml", ["seed=7"], "sweep.yaml")
    of_rate = {trial.values[RATE]: trial for trial in trials}
    assert of_rate[0.1].config.stages[1].embedding.learning_rate == 0.1
    assert of_rate[0.1].config.seed == 7
    assert of_rate[-1].config is None
    assert "greater than 0" in of_rate[-1].refusal.expected
