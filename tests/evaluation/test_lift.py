import pytest

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.lift import Control, Lift, reached_at

CURVE = [[100, 0.9], [200, 0.8], [400, 0.6]]
NOTHING = Comparison(None, None, None)


def control_of(estimate: float, low: float, high: float, seconds: float = 30.0) -> Control:
    """Of NE 0.8."""
    return Control(
        "DeepFM alone", seconds, 0.8, Comparison(Interval(-0.5, -0.6, -0.4), Interval(estimate, low, high), None)
    )


def lift_of(at_equal_time: Control | None, reached: float | None = 15.0, alone: Control | None = None) -> Lift:
    return Lift("FM then DeepFM", 31.0, 0.7943, at_equal_time, reached, alone)


def test_what_is_reached_lies_on_the_straight_line_between_two_points():
    # 0.65 is three quarters of the way from 0.8 to 0.6.
    assert reached_at(CURVE, 0.65, before=0) == pytest.approx(350)
    assert reached_at(CURVE, 0.85, before=0) == pytest.approx(150)


def test_what_earlier_stages_took_counts():
    assert reached_at(CURVE, 0.65, before=1000) == pytest.approx(1350)
    assert reached_at(CURVE, 0.95, before=1000) == 1100


def test_a_point_at_the_goal_has_reached_it():
    assert reached_at(CURVE, 0.8, before=0) == pytest.approx(200)
    assert reached_at(CURVE, 0.6, before=0) == pytest.approx(400)


def test_a_first_point_that_is_low_enough_counts_as_it_is():
    assert reached_at(CURVE, 0.9, before=0) == 100
    assert reached_at(CURVE, 2.0, before=50) == 150


def test_a_goal_that_is_never_reached_is_reached_at_no_time():
    assert reached_at(CURVE, 0.59, before=0) is None
    assert reached_at([], 0.9, before=10) is None


def test_the_first_time_counts_where_a_curve_falls_rises_and_falls():
    # From 0.9 down to 0.7, of which 0.75 is three quarters.
    assert reached_at([[100, 0.9], [200, 0.7], [300, 1.0], [400, 0.6]], 0.75, before=0) == pytest.approx(175)


def test_a_lift_is_a_sentence_about_time_with_the_change_as_a_share_of_the_controls():
    # -0.0057 of 0.8 are -0.7%, the bounds -0.9% and -0.5%.
    said = lift_of(control_of(-0.0057, -0.0072, -0.004)).in_words("deepfm")
    assert said == (
        "deepfm: in 31 s, FM then DeepFM reach NE 0.7943; DeepFM alone 0.8000 in 30 s (-0.7%, -0.9% to -0.5%); "
        "that NE was reached in 50% of its time"
    )


@pytest.mark.parametrize(
    ("control", "is_clear"),
    [
        (control_of(-0.02, -0.03, -0.01), True),
        (control_of(0.02, 0.01, 0.03), True),
        (control_of(-0.02, -0.05, 0.01), False),
        (control_of(0.02, -0.01, 0.05), False),
    ],
    ids=["below-0", "above-0", "0-above-most", "0-below-most"],
)
def test_a_lift_says_where_it_is_not_clear(control, is_clear):
    assert ("not clear" not in lift_of(control).in_words("deepfm")) == is_clear


def test_a_lift_says_that_the_controls_ne_was_never_reached():
    lift = lift_of(control_of(0.02, 0.01, 0.03), reached=None)
    assert lift.in_words("fnn").endswith("; that NE was never reached")
    assert lift.time_ratio is None


def test_a_lift_tells_the_same_days_alone_too_where_they_were_trained_on():
    alone = control_of(-0.016, -0.02, -0.012, seconds=8.25)
    said = lift_of(None, alone=alone).in_words("deepfm")
    assert said.endswith("0.7943; on the net's days alone, DeepFM alone 0.8000 in 8.2 s (-2.0%, -2.5% to -1.5%)")
    assert "its time" not in said


def test_held_out_rows_of_one_class_judge_nothing():
    lift = Lift("FM then FNN", 31.0, None, Control("DNN alone", 30.0, None, NOTHING))
    assert "one class only" in lift.in_words("fnn")
    assert lift.metrics() == {"seconds": 31.0, "equal_time_seconds": 30.0}


def test_the_figures_of_a_lift_are_those_of_both_comparisons_and_of_the_time():
    figures = lift_of(control_of(-0.1, -0.2, -0.05), alone=control_of(-0.3, -0.4, -0.2)).metrics()
    assert figures["equal_time_ne"] == -0.1
    assert (figures["equal_rows_ne_low"], figures["equal_rows_log_loss_high"]) == (-0.4, -0.4)
    assert (figures["seconds"], figures["time_ratio"]) == (31.0, 0.5)
