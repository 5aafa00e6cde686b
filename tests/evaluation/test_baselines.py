import numpy as np
import pytest
from scored_rows import NAMES, OBJECTIVES

from pipeline.evaluation.baselines import Baseline, of_groups, of_rate
from pipeline.evaluation.intervals import intervals
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.tally import Tally

LABELS = (np.arange(1_000) % 50 == 0).astype(float)  # 2 %
LOGITS = np.random.default_rng(0).normal(-4, 1, 1_000)
NO_GROUPS = Tally.empty()


@pytest.mark.parametrize("weights", [None, np.random.default_rng(1).random(1_000)], ids=["rows", "weights"])
def test_a_constant_comes_to_what_it_does_row_by_row(weights):
    found, rows = of_rate(Sums.of(LOGITS, LABELS, weights), 0.03), np.full(1_000, np.log(0.03 / 0.97))
    by_row = Sums.of(rows, LABELS, weights)
    assert found.metrics().as_dict() == pytest.approx(by_row.metrics().as_dict())
    for name, bounds in intervals(by_row).items():
        assert intervals(found)[name] == pytest.approx(bounds), name


def test_the_rate_of_other_days_is_no_better_than_that_of_the_rows_themselves():
    assert of_rate(Sums.of(LOGITS, LABELS), 0.02).metrics().ne == pytest.approx(1)
    assert Baseline.of(Sums.of(LOGITS, LABELS), 0.03, 0.95).ne > 1


def test_nothing_is_held_against_a_rate_that_nobody_knows_or_that_has_no_end():
    sums = Sums.of(LOGITS, LABELS)
    assert [Baseline.of(sums, rate, 0.95) for rate in (None, 0.0, 1.0)] == [None] * 3
    assert Baseline.of(Sums.of(LOGITS, np.zeros(1_000)), 0.02, 0.95) is None


def test_a_groups_rate_is_its_own_beside_one_click_at_the_base_rate_and_of_a_new_group_the_base_rate():
    # Base rate .1: one click in ten rows. Group 3 has 4 clicks in 10: 5 in 20; group 7 none in 10: 1 in 20.
    training = Tally(np.array([3, 7]), np.array([4.0, 0.0]), np.array([6.0, 10.0]))
    p = 1 / (1 + np.exp(-of_groups(training, 0.1, np.array([7, 3, 5, 3, 9]))))
    assert p == pytest.approx([0.05, 0.25, 0.1, 0.25, 0.1])
    assert 1 / (1 + np.exp(-of_groups(NO_GROUPS, 0.1, np.array([1, 2])))) == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
def test_a_model_of_classes_or_numbers_is_held_against_the_constant_of_the_training_days(kind, rows_of):
    logits, labels = rows_of(2_000, seed=1)
    constant = (0.6, 0.3, 0.1) if logits.ndim == 2 else 9.0
    told = np.broadcast_to(np.log(constant) if logits.ndim == 2 else constant, logits.shape)
    found = Baseline.of(kind.of(logits, labels), constant, 0.95)
    assert found.ne == pytest.approx(kind.of(told, labels).metrics().ne)
    assert found.change.high < 0
    assert Baseline.of(kind.of(told, labels), constant, 0.95).change.estimate == pytest.approx(0, abs=1e-12)
