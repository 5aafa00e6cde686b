import io

import numpy as np
import pytest
from sweep_folder import RATE, settings_of, task_of

from pipeline.runtime import files
from pipeline.sweep.neighbours import around, distance
from pipeline.sweep.outcome import Look, Outcome
from schemas.sweep import Values

SPACE = {
    "rate": Values(log_uniform=(0.01, 1.0)),
    "hidden": Values(choice=([8], [16], [32])),
    "depth": Values(integer=(0, 4)),
}


def test_two_trials_are_apart_by_the_parts_of_the_scales_between_them_and_by_1_for_each_other_choice():
    one = {"rate": 0.01, "hidden": [8], "depth": 1}
    assert distance(one, one, SPACE) == 0
    assert distance(one, one | {"rate": 0.1}, SPACE) == pytest.approx(0.5)
    assert distance(one, one | {"hidden": [16]}, SPACE) == distance(one, one | {"hidden": [32]}, SPACE) == 1
    assert distance(one, {"rate": 1.0, "hidden": [16], "depth": 2}, SPACE) == pytest.approx(1 + 1 + 0.25)


def test_the_nearest_in_ne_and_in_settings_stand_by_ne_and_without_logits_none_is_compared(folder):
    space = settings_of({RATE: {"uniform": [0.0, 1.0]}}).space
    nes = {1: 0.80, 2: 0.81, 3: 0.82, 4: 0.83, 5: 0.84, 6: 0.90}
    rates = {1: 0.5, 2: 0.9, 3: 0.95, 4: 1.0, 5: 0.4, 6: 0.51}
    outcomes = [Outcome(number, {RATE: rates[number]}, 8, (Look(1, nes[number], 0.6),)) for number in nes]
    outcomes += [Outcome(7, {RATE: 0.5}, 8, failure="it diverged")]
    found = around(1, outcomes, space, task_of(folder))
    assert found.bounds is None
    assert [(one.number, one.near_in) for one in found.neighbours] == [
        *((2, "NE and settings"), (3, "NE"), (4, "NE"), (5, "settings"), (6, "settings")),
    ]
    assert {one.change for one in found.neighbours} == {None}


def test_logits_that_are_damaged_are_left_away(folder):
    task = task_of(folder)
    stream = io.BytesIO()
    np.savez(stream, **{"0": np.zeros(3, np.float32)})
    files.write_bytes(f"{task.logits_uri(1)}/validation-0-of-1.npz", stream.getvalue()[:-30])
    outcomes = [Outcome(1, {RATE: 0.1}, 8, (Look(1, 0.8, 0.6),)), Outcome(2, {RATE: 0.2}, 8, (Look(1, 0.9, 0.6),))]
    found = around(1, outcomes, settings_of({RATE: {"choice": [0.1, 0.2]}}).space, task)
    assert found.bounds is None
    assert [one.number for one in found.neighbours] == [2]
