import json
import math
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from pipeline.evaluation.calibration import CALIBRATION, MIN_BLOCK_ROWS, Isotonic, Platt, fit
from pipeline.evaluation.metrics import Sums

Column = NDArray[np.float64]
Method = Literal["platt", "isotonic"]
METHODS: tuple[Method, ...] = ("platt", "isotonic")


def sigmoid(logits: Column) -> Column:
    return 1 / (1 + np.exp(-logits))


def drawn(num_rows: int, seed: int, slope: float = 1.0, intercept: float = 0.0) -> tuple[Column, Column]:
    """Logits and labels whose true logit is slope * logit + intercept."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1.5, 1.5, num_rows)
    return logits, (random.random(num_rows) < sigmoid(slope * logits + intercept)).astype(float)


def test_platt_of_two_logits_by_hand():
    # One of three clicks at -1 and two of three at 1: smoothed, P = N = 3, a click counts 4/5 and a non-click 1/5, so
    # the means are (4/5 + 2/5) / 3 = 2/5 and 3/5, and the slope is the log of 3/2.
    platt = fit("platt", np.array([-1.0, -1, -1, 1, 1, 1]), np.array([1, 0, 0, 1, 1, 0]))
    assert isinstance(platt, Platt)
    assert (platt.slope, platt.intercept) == (pytest.approx(math.log(1.5)), pytest.approx(0, abs=1e-9))


def test_isotonic_of_three_logits_by_hand():
    # 0 of 100 clicks at -1, then 60 and 40 of 100 at 0 and 2, which pool to a half at logit 1.
    labels = np.repeat([0, 1, 0, 1, 0], [100, 60, 40, 40, 60])
    isotonic = fit("isotonic", np.repeat([-1.0, 0.0, 2.0], 100), labels)
    assert isinstance(isotonic, Isotonic)
    assert isotonic.knots_x == (-1, 1)
    lowest = math.log(0.5 / 100.5)
    assert isotonic.knots_y == (pytest.approx(lowest), pytest.approx(0))
    found = isotonic.apply(np.array([-3.0, -1.0, 0.0, 1.0, 4.0], np.float32))
    assert found.tolist() == pytest.approx([lowest - 2, lowest, lowest / 2, 0, 3])


def test_platt_recovers_the_slope_and_intercept_of_a_known_miscalibration():
    platt = fit("platt", *drawn(200_000, seed=1, slope=0.6, intercept=-0.8))
    assert isinstance(platt, Platt)
    assert platt.slope == pytest.approx(0.6, abs=0.02)
    assert platt.intercept == pytest.approx(-0.8, abs=0.03)


def test_platt_is_the_logistic_regression_on_smoothed_labels():
    # A row of target t is a click that weighs t and a non-click that weighs 1 - t.
    logits, labels = drawn(2_000, seed=2, slope=1.5, intercept=1.0)
    weights = np.random.default_rng(3).random(2_000) + 0.5
    P, N = weights @ labels, weights @ (1 - labels)
    target = np.where(labels == 1, (P + 1) / (P + 2), 1 / (N + 2))
    regression = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(
        np.tile(logits, 2)[:, None],
        np.repeat([1, 0], 2_000),
        np.concatenate([weights * target, weights * (1 - target)]),
    )
    platt = fit("platt", logits, labels, weights)
    assert isinstance(platt, Platt)
    assert platt.slope == pytest.approx(regression.coef_.item(), abs=1e-7)
    assert platt.intercept == pytest.approx(regression.intercept_.item(), abs=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
def test_isotonic_blocks_are_those_of_scikit_learn(weighted: bool):
    # 200 rows and more of each logit: no block is too small, so the knots are the blocks of least squares.
    random = np.random.default_rng(4)
    logits = np.sort(random.normal(0, 1.5, 60))[random.integers(0, 60, 20_000)]
    labels = (random.random(20_000) < sigmoid(0.4 * logits)).astype(float)
    weights = random.random(20_000) + 0.5 if weighted else None
    isotonic = fit("isotonic", logits, labels, weights)
    assert isinstance(isotonic, Isotonic)
    expected = IsotonicRegression().fit(logits, labels, weights)
    assert len(isotonic.knots_x) == len(set(expected.predict(logits).round(12)))
    assert sigmoid(np.array(isotonic.knots_y)) == pytest.approx(expected.predict(isotonic.knots_x))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("slope", "intercept"), [(0.5, 1.0), (1.0, -1.5), (2.0, 1.5)])
def test_a_miscalibrated_model_is_put_right_on_fresh_rows(method: Method, slope: float, intercept: float):
    calibration = fit(method, *drawn(200_000, seed=5, slope=slope, intercept=intercept))
    logits, labels = drawn(200_000, seed=6, slope=slope, intercept=intercept)
    before, after = Sums.of(logits, labels).metrics(), Sums.of(calibration.apply(logits), labels).metrics()
    assert after.calibration == pytest.approx(1, abs=0.01)
    assert abs(before.calibration - 1) > 0.1
    assert after.log_loss < before.log_loss
    assert after.ece < 0.005
    assert after.auc == pytest.approx(before.auc, abs=5e-4)


def test_isotonic_puts_right_what_no_line_can():
    def bent(seed: int) -> tuple[Column, Column]:
        logits, _ = drawn(100_000, seed)
        truth = np.where(logits < -1, -1 + 0.2 * (logits + 1), -1 + 2 * (logits + 1))
        return logits, (np.random.default_rng(seed + 1).random(100_000) < sigmoid(truth)).astype(float)

    rows, (logits, labels) = bent(7), bent(9)
    platt, isotonic = (Sums.of(fit(method, *rows).apply(logits), labels).metrics() for method in METHODS)
    assert isotonic.log_loss < platt.log_loss
    assert isotonic.ece < 0.005 < platt.ece


@pytest.mark.parametrize("method", METHODS)
def test_rare_clicks_keep_their_number(method: Method):
    logits, labels = drawn(100_000, seed=11, intercept=-4.0)
    after = Sums.of(fit(method, logits, labels).apply(logits), labels).metrics()
    assert labels.mean() < 0.02
    assert after.calibration == pytest.approx(1, abs=0.01)


def test_a_calibrated_model_is_hardly_changed():
    rows = drawn(200_000, seed=12)
    z = np.linspace(-4, 1.5, 50)
    assert fit("platt", *rows).apply(z) == pytest.approx(z, abs=0.05)
    assert np.abs(sigmoid(fit("isotonic", *rows).apply(z)) - sigmoid(z)).mean() < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_the_ranking_is_kept(method: Method):
    calibration = fit(method, *drawn(20_000, seed=13, slope=0.3))
    mapped = np.diff(calibration.apply(np.linspace(-30, 30, 5_000)))
    assert (mapped >= 0).all()
    assert (mapped > 0).mean() > 0.99
    if method == "platt":
        assert (mapped > 0).all()


def test_platt_does_not_turn_a_ranking_round():
    logits, labels = drawn(20_000, seed=14, slope=-1.0)
    platt = fit("platt", logits, labels)
    assert isinstance(platt, Platt)
    assert platt.slope == 1
    assert sigmoid(platt.apply(logits)).sum() == pytest.approx(labels.sum(), rel=1e-3)


def test_isotonic_of_a_ranking_turned_round_moves_all_logits_alike():
    logits, labels = drawn(20_000, seed=14, slope=-1.0)
    isotonic = fit("isotonic", logits, labels)
    assert isinstance(isotonic, Isotonic)
    assert sigmoid(np.array(isotonic.knots_y)) == pytest.approx([labels.mean()])
    assert np.diff(isotonic.apply(np.array([-2.0, 0.0, 3.0]))).tolist() == pytest.approx([2, 3])


@pytest.mark.parametrize("method", METHODS)
def test_equal_logits_become_the_base_rate(method: Method):
    # Platt's smoothing leaves 1 / 4 as (250 * 251/252 + 750 * 1/752) / 1000.
    calibration = fit(method, np.full(1_000, 0.1), np.arange(1_000) % 4 == 0)
    assert sigmoid(calibration.apply(np.array([0.1]))) == pytest.approx([0.25], abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_classes_that_do_not_overlap_leave_finite_logits(method: Method, scale: float):
    logits = scale * np.linspace(-1, 1, 1_000)
    found = fit(method, logits, logits > 0).apply(logits[[0, -1]])
    assert np.isfinite(found).all()
    assert found[0] < 0 < found[1]


def test_outliers_do_not_keep_platt_from_its_optimum():
    logits, labels = drawn(5_000, seed=15)
    logits[:2] = -1e6, 1e6
    labels[:2] = 0, 1
    platt = fit("platt", logits, labels)
    assert isinstance(platt, Platt)
    assert sigmoid(platt.slope * logits[2:] + platt.intercept).sum() == pytest.approx(labels[2:].sum(), rel=1e-2)


def test_every_block_holds_enough_rows_and_the_map_few_knots():
    logits, labels = drawn(50_000, seed=16)
    isotonic = fit("isotonic", logits, labels)
    assert isinstance(isotonic, Isotonic)
    below = np.searchsorted(np.sort(logits), isotonic.knots_x)  # knots are mean logits, so rows lie on both sides
    assert np.diff(below).min() >= MIN_BLOCK_ROWS / 4
    assert 5 < len(isotonic.knots_x) < 150


def test_fewer_rows_than_a_block_shift_the_logits():
    isotonic = fit("isotonic", np.array([-1.0, 0.0, 1.0]), np.array([0, 0, 1]))
    assert isinstance(isotonic, Isotonic)
    assert isotonic.knots_x == (0,)
    assert isotonic.knots_y == (pytest.approx(-math.log(2)),)


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_weight_counts_a_row_that_many_times(method: Method):
    logits, labels = drawn(3_000, seed=17)
    times = np.random.default_rng(18).integers(0, 4, 3_000)
    weighted = fit(method, logits, labels, times)
    repeated = fit(method, np.repeat(logits, times), np.repeat(labels, times))
    z = np.linspace(-8, 5, 100)
    assert weighted.apply(z) == pytest.approx(repeated.apply(z), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_rows_does_not_matter(method: Method):
    logits, labels = drawn(3_000, seed=19)
    order = np.random.default_rng(20).permutation(3_000)
    z = np.linspace(-8, 5, 100)
    assert fit(method, logits[order], labels[order]).apply(z) == pytest.approx(
        fit(method, logits, labels).apply(z), abs=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_json_keeps_every_bit(method: Method):
    calibration = fit(method, *drawn(20_000, seed=21, slope=0.7, intercept=0.1))
    restored = CALIBRATION.validate_json(calibration.model_dump_json())
    assert restored == calibration
    assert type(restored) is type(calibration)
    assert CALIBRATION.validate_python(json.loads(json.dumps(calibration.model_dump()))) == calibration
    z = np.linspace(-8, 5, 1_000)
    assert restored.apply(z).tobytes() == calibration.apply(z).tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_float32_logits_come_back_as_as_many_float32(method: Method):
    logits, labels = drawn(1_000, seed=22)
    calibration = fit(method, logits.astype(np.float32), labels.astype(bool))
    for num_rows in (0, 7):
        found = calibration.apply(logits[:num_rows].astype(np.float32))
        assert (found.dtype, found.shape) == (np.float32, (num_rows,))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"labels": [0, 0]}, "rows of both classes to calibrate on, found 0 clicks and 2 non-clicks"),
        ({"labels": [1, 1]}, "found 2 clicks and 0 non-clicks"),
        ({"weights": [1, 0]}, "found 0 clicks and 1 non-clicks"),
        ({"logits": [0], "labels": [1]}, "found 1 clicks and 0 non-clicks"),
        ({"logits": [], "labels": []}, "found 0 clicks and 0 non-clicks"),
        ({"logits": [0, np.inf]}, "logits: expected finite values, found inf at row 1"),
        ({"labels": [0, 1, 1]}, "one length"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused(method: Method, columns: dict[str, list[float]], message: str):
    valid = {"logits": [0.0, 1.0], "labels": [0.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        fit(method, **{name: np.array(values, float) for name, values in (valid | columns).items()})


@pytest.mark.parametrize(
    "stored",
    [
        '{"method": "platt", "slope": 0.0, "intercept": 1.0}',
        '{"method": "platt", "slope": 1.0, "intercept": NaN}',
        '{"method": "isotonic", "knots_x": [], "knots_y": []}',
        '{"method": "isotonic", "knots_x": [0.0, 1.0], "knots_y": [0.0]}',
        '{"method": "isotonic", "knots_x": [0.0, 0.0], "knots_y": [0.0, 1.0]}',
        '{"method": "isotonic", "knots_x": [0.0, 1.0], "knots_y": [0.0, -1.0]}',
        '{"method": "beta", "slope": 1.0, "intercept": 1.0}',
    ],
)
def test_what_would_not_keep_the_ranking_is_not_read(stored: str):
    with pytest.raises(ValidationError):
        CALIBRATION.validate_json(stored)
