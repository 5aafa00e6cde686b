import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scored_rows import NAMES, OBJECTIVES

from pipeline.evaluation.bootstrap import Bootstrap, compare
from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.intervals import against, against_rate, few_clicks, intervals, with_bounds
from pipeline.evaluation.metrics import NUM_BINS, Sums

Column = NDArray[np.float64]


def model(num_rows: int, offset: float, seed: int) -> tuple[Column, Column]:
    """Logits of a model that is somewhat off, and labels; some 1 % of them clicks at an offset of -5."""
    random = np.random.default_rng(seed)
    truth = random.normal(offset, 1.0, num_rows)
    labels = (random.random(num_rows) < 1 / (1 + np.exp(-truth))).astype(float)
    return truth + random.normal(0, 0.5, num_rows), labels


def drawn(logits: Column, labels: Column, weights: Column | None = None, draws: int = 400) -> dict[str, Column]:
    """The metrics of rows drawn again with replacement, so many times."""
    random, found = np.random.default_rng(7), []
    for _ in range(draws):
        rows = random.integers(0, len(labels), len(labels))
        of = Sums.of(logits[rows], labels[rows], None if weights is None else weights[rows])
        found.append(of.metrics())
    return {name: np.array([getattr(one, name) for one in found]) for name in ("log_loss", "ne", "calibration", "auc")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_rows", "offset", "is_weighted"), [(6_000, -5.5, False), (4_000, -2.0, False), (4_000, -2.0, True)]
)
def test_each_interval_is_the_bootstraps_of_43_clicks_and_of_many_weighted_or_not(num_rows, offset, is_weighted):
    logits, labels = model(num_rows, offset, seed=1)
    weights = np.random.default_rng(2).choice([0.5, 1.0, 4.0], num_rows) if is_weighted else None
    found = intervals(Sums.of(logits, labels, weights))
    for name, values in drawn(logits, labels, weights).items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert found[name][1] - found[name][0] == pytest.approx(high - low, rel=0.15), name
        assert sum(found[name]) / 2 == pytest.approx((low + high) / 2, abs=0.2 * (high - low)), name


def test_the_error_of_log_loss_is_that_of_a_mean():
    logits, labels = model(2_000, -2.0, seed=3)
    nats = np.logaddexp(0, np.where(labels == 1, -logits, logits))
    low, high = intervals(Sums.of(logits, labels), 0.9)["log_loss"]
    assert (low + high) / 2 == pytest.approx(nats.mean())
    assert (high - low) / 2 == pytest.approx(1.645 * nats.std() / np.sqrt(2_000), rel=1e-3)


def test_the_variance_of_auc_by_hand():
    # Clicks at 1 and 3, others at 0, 2 and 2: placements 1/3 and 1 of the clicks, 1, .5 and .5 of the others; AUC 2/3.
    # Variance 2/9 of the clicks over 2, and 1/12 of the others over 3: .1389; over (2/9)^2 that of the log-odds.
    logits, labels = np.array([1.0, 3.0, 0.0, 2.0, 2.0]), np.array([1, 1, 0, 0, 0])
    reach = 1.959964 * (2 / 9 / 2 + 1 / 12 / 3) ** 0.5 / (2 / 9)
    expected = [1 / (1 + np.exp(-(np.log(2) + sign * reach))) for sign in (-1, 1)]
    assert intervals(Sums.of(logits, labels))["auc"] == pytest.approx(expected, rel=1e-6)


def test_perfect_order_of_few_clicks_is_no_certainty():
    logits, labels = np.arange(100.0), (np.arange(100) >= 90).astype(float)
    low, high = intervals(Sums.of(logits, labels))["auc"]
    # Ten clicks that each are above a share q of the others by chance q: 0.025 = q^10.
    assert (low, high) == (pytest.approx(0.025**0.1), 1.0)
    assert intervals(Sums.of(-logits, labels))["auc"] == (0.0, pytest.approx(1 - 0.025**0.1))


def test_a_model_that_says_the_same_of_each_row_has_an_auc_of_a_half_for_certain():
    assert intervals(Sums.of(np.full(50, -2.0), np.arange(50) % 5 == 0))["auc"] == (0.5, 0.5)


@pytest.mark.parametrize("clicks", [0, 1, 49, 50], ids=str)
def test_fewer_than_two_rows_of_a_class_tell_nothing(clicks: int):
    sums = Sums.of(np.linspace(-3, 3, 50), np.arange(50) < clicks)
    assert (intervals(sums), against_rate(sums, 0.1)) == ({}, None)


def test_days_that_are_added_up_have_the_interval_of_all_their_rows():
    logits, labels = model(3_000, -2.0, seed=4)
    weights = np.random.default_rng(5).random(3_000)
    parts = [Sums.of(*(one[i::3] for one in (logits, labels, weights))) for i in range(3)]
    together = Sums.from_arrays(sum(parts, Sums.zero()).to_arrays())
    for name, bounds in intervals(Sums.of(logits, labels, weights)).items():
        assert intervals(together)[name] == pytest.approx(bounds), name


def test_sums_of_an_earlier_version_count_each_row_as_one():
    logits, labels = model(1_000, -2.0, seed=6)
    arrays = Sums.of(logits, labels).to_arrays()
    before = {name: array for name, array in arrays.items() if name != "weight_squares"}
    assert intervals(Sums.from_arrays(before)) == intervals(Sums.of(logits, labels))


def test_histograms_tell_nearly_what_the_logits_do():
    logits, labels = model(4_000, -2.0, seed=8)
    exact = Sums.of(logits, labels)
    binned = Sums.from_arrays(exact.to_arrays() | {"is_ranked": np.asarray(False)})
    assert len(binned.ranking().keys) == NUM_BINS
    for name, bounds in intervals(exact).items():
        assert intervals(binned)[name] == pytest.approx(bounds, abs=1e-3), name


@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_against_a_rate_it_is_the_paired_bootstraps(rate: float):
    logits, labels = model(4_000, -2.3, seed=9)
    constant = np.full(len(labels), np.log(rate / (1 - rate)))
    found, drawn = (
        against_rate(Sums.of(logits, labels), rate),
        compare(logits, constant, labels, draws=Bootstrap(300)).ne,
    )
    assert found.estimate == pytest.approx(drawn.estimate)
    assert found.high - found.low == pytest.approx(drawn.high - drawn.low, rel=0.15)
    assert found.is_clear


def test_a_rate_is_no_better_and_no_worse_than_itself():
    labels = np.arange(100) % 10 == 0
    found = against_rate(Sums.of(np.full(100, np.log(0.1 / 0.9)), labels), 0.1)
    assert (found.estimate, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_a_rate_that_knows_no_clicks_is_no_base_to_hold_a_model_against():
    assert against_rate(Sums.of(np.zeros(10), np.arange(10) % 2), 0.0) is None


def test_figures_are_told_with_as_many_decimals_as_their_bounds_are_apart():
    assert with_bounds(0.81234, (0.8012, 0.8231)) == "0.8123 (0.801 to 0.823)"
    assert with_bounds(0.81234, (0.81201, 0.81262)) == "0.8123 (0.81201 to 0.81262)"
    assert with_bounds(1.02, (0.7, 1.44), ".3f") == "1.020 (0.70 to 1.44)"
    assert with_bounds(0.5, (0.5, 0.5)) == "0.5000"
    assert with_bounds(0.5, None) == "0.5000"


def test_few_clicks_say_how_little_they_tell_and_many_say_nothing():
    bounds = {"auc": (0.61, 0.79), "ne": (0.93, 1.01)}
    assert few_clicks(43.0, bounds) == "43 clicks tell AUC to +-0.09 and NE to +-0.04"
    assert (few_clicks(1_000.0, bounds), few_clicks(1.0, {})) == ("", "")


@pytest.mark.slow
def test_intervals_of_100_000_rows_take_milliseconds():
    logits, labels = model(100_000, -3.0, seed=10)
    sums = Sums.of(logits, labels)
    began = time.perf_counter()
    intervals(sums)
    assert time.perf_counter() - began < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
@pytest.mark.parametrize("is_weighted", [False, True], ids=["counted", "weighted"])
def test_each_interval_of_classes_and_of_numbers_is_the_bootstraps(kind, rows_of, is_weighted: bool):
    logits, labels = rows_of(4_000, seed=1)
    weights = np.random.default_rng(2).choice([0.5, 1.0, 4.0], 4_000) if is_weighted else None
    random, redrawn = np.random.default_rng(7), []
    for _ in range(400):
        rows = random.integers(0, 4_000, 4_000)
        redrawn.append(kind.of(logits[rows], labels[rows], None if weights is None else weights[rows]).metrics())
    found = intervals(kind.of(logits, labels, weights))
    assert found
    for name, bounds in found.items():
        low, high = np.quantile([getattr(one, name) for one in redrawn], [0.025, 0.975])
        assert bounds[1] - bounds[0] == pytest.approx(high - low, rel=0.15), name
        assert sum(bounds) / 2 == pytest.approx((low + high) / 2, abs=0.2 * (high - low)), name


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
def test_ne_less_that_of_a_constant_is_told_in_pairs(kind, rows_of):
    logits, labels = rows_of(2_000, seed=3)
    weights = np.random.default_rng(2).choice([0.5, 1.0, 4.0], 2_000)
    constant = (0.6, 0.3, 0.1) if kind is ClassSums else 7.0
    told = np.broadcast_to(np.log(constant) if kind is ClassSums else constant, logits.shape)
    found = against(kind.of(logits, labels, weights), constant)
    draws = Bootstrap(200, confidence=0.95)
    paired = compare(logits, told, labels, weights, draws, kind.objective).ne
    assert found.estimate == pytest.approx(paired.estimate)
    assert found.high - found.low == pytest.approx(paired.high - paired.low, rel=0.2)


def test_nothing_is_held_against_shares_that_a_class_of_the_rows_has_none_of():
    sums = ClassSums.of(np.zeros((3, 3)), np.array([0, 1, 1]))
    assert against(sums, (0.5, 0.0, 0.5)) is None
    assert against(sums, (0.5, 0.5, 0.0)).estimate == pytest.approx((np.log(3) - np.log(2)) / 0.636514, rel=1e-5)
