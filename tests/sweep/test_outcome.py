from dataclasses import replace

import pytest

from pipeline.sweep.outcome import Judged, Look, Outcome, best_of, in_words, ranked
from schemas.errors import Failure

SLOW = Outcome(1, {}, 3)
FAILED = Outcome(2, {}, 3, (Look(10, 0.5, 0.7),), failure="it diverged")
LATE = Outcome(3, {}, 3, (Look(10, 0.9, 0.6), Look(20, 0.7, 0.7), Look(30, 0.8, 0.8)))
EARLY = Outcome(4, {}, 3, (Look(10, 0.7, 0.7),))


def test_the_best_trial_had_the_lowest_ne_at_any_of_its_looks_and_of_two_the_first():
    assert best_of([SLOW, FAILED, LATE, EARLY]) == (3, Judged(1, 0.7, 0.7))
    assert best_of([FAILED, EARLY, LATE]) == (4, Judged(1, 0.7, 0.7))


def test_a_trial_of_several_seeds_is_judged_by_the_mean_of_their_best_looks_and_their_deviation_by_hand():
    # 0.7, 0.8 and 0.9 have the mean 0.8 and, of two degrees of freedom, the deviation 0.1.
    judged = replace(LATE, further=(Look(30, 0.8, 0.6), Look(10, 0.9, 0.5))).judged
    assert (judged.num_seeds, judged.ne, judged.beside) == pytest.approx((3, 0.8, 0.6))
    assert judged.deviations == pytest.approx((0.1, 0.1))
    assert in_words(judged, ".4f") == "0.8000, the mean of 3 seeds, with a deviation of 0.1"
    assert in_words(LATE.judged, ".4f") == "0.7000"


def test_what_one_seed_came_to_before_it_was_stopped_is_held_against_no_mean():
    best, worse = (replace(LATE, number=number, further=(Look(30, ne, 0.6),)) for number, ne in ((5, 0.75), (6, 0.8)))
    lucky = Outcome(7, {}, 3, (Look(10, 0.6, 0.9),))
    assert [one.number for one in ranked([SLOW, lucky, worse, FAILED, best, EARLY])] == [5, 6, 7, 4, 1, 2]
    assert best_of([lucky, worse, best])[0] == 5


def test_a_sweep_without_a_best_trial_says_what_was_in_the_way():
    with pytest.raises(Failure, match="no trial came to a first look within the sweep's `seconds`"):
        best_of([SLOW])
    with pytest.raises(Failure, match="1 of 2 trials failed, none succeeded; the first: it diverged"):
        best_of([SLOW, FAILED])
