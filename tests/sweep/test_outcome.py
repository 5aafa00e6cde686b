import pytest

from pipeline.sweep.outcome import Look, Outcome, best_of
from schemas.errors import Failure

SLOW = Outcome(1, {}, 3)
FAILED = Outcome(2, {}, 3, (Look(10, 0.5, 0.7),), failure="it diverged")
LATE = Outcome(3, {}, 3, (Look(10, 0.9, 0.6), Look(20, 0.7, 0.7), Look(30, 0.8, 0.8)))
EARLY = Outcome(4, {}, 3, (Look(10, 0.7, 0.7),))


def test_the_best_trial_had_the_lowest_ne_at_any_of_its_looks_and_of_two_the_first():
    assert best_of([SLOW, FAILED, LATE, EARLY]) == (3, 0.7)
    assert best_of([FAILED, EARLY, LATE]) == (4, 0.7)


def test_a_sweep_without_a_best_trial_says_what_was_in_the_way():
    with pytest.raises(Failure, match="no trial came to a first look within the sweep's `seconds`"):
        best_of([SLOW])
    with pytest.raises(Failure, match="1 of 2 trials failed, none succeeded; the first: it diverged"):
        best_of([SLOW, FAILED])
