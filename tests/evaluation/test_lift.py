import pytest

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.lift import Lift, rows_to_reach

CURVE = [[100, 0.9], [200, 0.8], [400, 0.6]]
NOTHING = Comparison(None, None, None)


def lift_of(estimate: float, low: float, high: float, rows: float | None = 300.0) -> Lift:
    return Lift(Comparison(Interval(estimate, low, high), None, None), rows, control_rows=1200)


def test_rows_to_reach_lie_on_the_straight_line_between_two_points():
    # 0.65 is three quarters of the way from 0.8 to 0.6.
    assert rows_to_reach(CURVE, 0.65, rows_before=0) == pytest.approx(350)
    assert rows_to_reach(CURVE, 0.85, rows_before=0) == pytest.approx(150)


def test_the_rows_of_earlier_stages_are_rows_too():
    assert rows_to_reach(CURVE, 0.65, rows_before=1000) == pytest.approx(1350)
    assert rows_to_reach(CURVE, 0.95, rows_before=1000) == 1100


def test_a_point_at_the_goal_has_reached_it():
    assert rows_to_reach(CURVE, 0.8, rows_before=0) == pytest.approx(200)
    assert rows_to_reach(CURVE, 0.6, rows_before=0) == pytest.approx(400)


def test_a_first_point_that_is_low_enough_counts_as_it_is():
    assert rows_to_reach(CURVE, 0.9, rows_before=0) == 100
    assert rows_to_reach(CURVE, 2.0, rows_before=50) == 150


def test_a_goal_that_is_never_reached_has_no_rows():
    assert rows_to_reach(CURVE, 0.59, rows_before=0) is None
    assert rows_to_reach([], 0.9, rows_before=10) is None


def test_the_first_time_counts_where_a_curve_falls_rises_and_falls():
    # From 0.9 down to 0.7, of which 0.75 is three quarters.
    assert rows_to_reach([[100, 0.9], [200, 0.7], [300, 1.0], [400, 0.6]], 0.75, rows_before=0) == pytest.approx(175)


@pytest.mark.parametrize(
    ("lift", "words"),
    [
        (lift_of(-0.02, -0.03, -0.01), "pretraining helped"),
        (lift_of(0.02, 0.01, 0.03), "pretraining hurt"),
        (lift_of(-0.02, -0.05, 0.01), "no clear difference"),
        (lift_of(0.02, -0.01, 0.05), "no clear difference"),
    ],
    ids=["below-0", "above-0", "0-above-most", "0-below-most"],
)
def test_a_lift_says_whether_pretraining_helped_and_names_the_stage(lift, words):
    said = lift.in_words("fnn")
    assert said.startswith("fnn: ")
    assert words in said
    change = lift.comparison.log_loss
    assert f"{change.estimate:+.5f} ({change.low:+.5f} to {change.high:+.5f})" in said
    assert sum(verdict in said for verdict in ("helped", "hurt", "no clear difference")) == 1


def test_a_lift_says_how_soon_the_stage_was_as_good():
    assert lift_of(-0.02, -0.03, -0.01, rows=300).in_words("fnn").endswith("reached its NE at 25% of its rows")
    assert lift_of(0.02, 0.01, 0.03, rows=None).in_words("fnn").endswith("never reached its NE")


def test_held_out_rows_of_one_class_judge_nothing():
    assert "one class only" in Lift(NOTHING, None, 100).in_words("fnn")


def test_metrics_leave_out_what_is_undefined():
    assert Lift(NOTHING, None, 100).metrics() == {}
    assert Lift(NOTHING, 30, 120).metrics() == {"rows_ratio": 0.25}
    partly = Comparison(Interval(-0.2, -0.3, -0.1), None, Interval(0.02, 0.01, 0.03))
    assert Lift(partly, None, 100).metrics() == {
        "log_loss": -0.2,
        "log_loss_low": -0.3,
        "log_loss_high": -0.1,
        "auc": 0.02,
        "auc_low": 0.01,
        "auc_high": 0.03,
    }


def test_metrics_hold_all_that_is_defined():
    interval = Interval(-0.2, -0.3, -0.1)
    names = {f"{name}{bound}" for name in ("log_loss", "ne", "auc") for bound in ("", "_low", "_high")}
    assert set(Lift(Comparison(interval, interval, interval), 30, 120).metrics()) == {*names, "rows_ratio"}
