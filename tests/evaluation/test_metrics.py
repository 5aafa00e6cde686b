import math
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation import metrics as metrics_module
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics

Column = NDArray[np.float64]


def logit(*p: float) -> Column:
    return np.log(np.divide(p, np.subtract(1, p)))


def clicks(num_rows: int, seed: int, mean: float = -2.0) -> tuple[Column, Column]:
    """Logits around `mean` and labels drawn from them, so that they are calibrated."""
    random = np.random.default_rng(seed)
    logits = random.normal(mean, 1.5, num_rows)
    return logits, (random.random(num_rows) < 1 / (1 + np.exp(-logits))).astype(float)


def close(a: Sums, b: Sums) -> bool:
    left, right = a.to_arrays(), b.to_arrays()
    return left.keys() == right.keys() and all(np.allclose(left[name], right[name], rtol=1e-12) for name in left)


# Four rows to do in one's head: p = .1 .2 .6 .8, labels 0 1 0 1. Of the four pairs of a click and a non-click three are
# in order. Going down from .8 a click is met at ranks 1 and 3, with precision 1 and 2/3.
FOUR = Sums.of(logit(0.1, 0.2, 0.6, 0.8), np.array([0, 1, 0, 1]))


def test_four_rows_by_hand():
    metrics = FOUR.metrics()
    assert (metrics.rows, metrics.positives, metrics.base_rate) == (4, 2, 0.5)
    assert metrics.auc == pytest.approx(3 / 4)
    assert metrics.auc_error == 0
    assert metrics.pr_auc == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.4) + math.log(0.8)) / 4)
    assert metrics.ne == pytest.approx(metrics.log_loss / math.log(2))
    assert metrics.calibration == pytest.approx(1.7 / 2)
    assert metrics.ece == pytest.approx((0.1 + 0.8 + 0.6 + 0.2) / 4)


def test_curves_of_four_rows_by_hand():
    false_positive_rate, true_positive_rate = FOUR.roc_curve()
    assert false_positive_rate.tolist() == [0, 0, 0.5, 0.5, 1]
    assert true_positive_rate.tolist() == [0, 0.5, 0.5, 1, 1]
    recall, precision = FOUR.precision_recall_curve()
    assert recall.tolist() == [0.5, 0.5, 1, 1]
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])


def test_calibration_curve_halves_four_rows():
    mean_p, mean_label, mass = FOUR.calibration_curve(num_bins=2)
    assert mean_p.tolist() == pytest.approx([0.15, 0.7])
    assert mean_label.tolist() == [0.5, 0.5]
    assert mass.tolist() == [2, 2]


def test_tied_rows_stay_in_one_bin_of_the_calibration_curve():
    mean_p, mean_label, mass = Sums.of(logit(*[0.25] * 8), np.array([1, 0, 0, 0] * 2)).calibration_curve(num_bins=4)
    assert (mean_p.tolist(), mean_label.tolist(), mass.tolist()) == (pytest.approx([0.25]), [0.25], [8])


def test_tied_rows_fall_where_the_middle_one_falls():
    # Rows 1-2, 3-5 and 6: the half of six rows is passed within the second score, whose middle, 3.5, is beyond it.
    logits = logit(*[0.1] * 2, *[0.2] * 3, 0.3)
    assert Sums.of(logits, np.zeros(6)).calibration_curve(num_bins=2)[2].tolist() == [2, 4]


def test_ece_weighs_bins_by_their_rows():
    metrics = Sums.of(logit(0.1, 0.1, 0.1, 0.6), np.array([0, 0, 0, 1])).metrics()
    assert metrics.ece == pytest.approx((3 * 0.1 + 0.4) / 4)


def test_gauc_weights_users_by_impressions_and_passes_over_those_with_one_class():
    # User 7 has AUC 1 of 2 rows, user -3 has 1/2 (one pair of two in order) of 3 rows, user 5 never clicked.
    logits = np.array([1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    labels = np.array([0, 1, 0, 1, 0, 0, 0])
    users = np.array([7, 7, -3, -3, -3, 5, 5])
    assert Sums.of(logits, labels, groups=users).metrics().gauc == pytest.approx((2 * 1 + 3 * 0.5) / 5)


def test_gauc_counts_ties_half():
    assert Sums.of(np.zeros(2), np.array([0, 1]), groups=np.array([1, 1])).metrics().gauc == 0.5


def by_bins(sums: Sums) -> Metrics:
    """As of more different logits than are counted each."""
    return replace(sums, logits=None).metrics()


def test_logits_beyond_the_histogram_are_tied_within_the_stated_error():
    sums = Sums.of(np.array([20.0, 30.0]), np.array([0, 1]))
    assert (sums.metrics().auc, sums.metrics().auc_error) == (1, 0)
    assert (by_bins(sums).auc, by_bins(sums).auc_error) == (0.5, 0.5)


def test_a_nearly_constant_model_of_few_clicks_has_an_exact_auc():
    # 43 clicks among 8,500 rows, all logits within a tenth: some fifty bins, which the clicks share with most others.
    random = np.random.default_rng(12)
    logits, labels = random.normal(-5.3, 0.02, 8_500), np.zeros(8_500)
    labels[:43], logits[:43] = 1, logits[:43] + 0.01
    sums = Sums.of(logits, labels)
    exact, binned = sums.metrics(), by_bins(sums)
    assert exact.auc == pytest.approx(sklearn_metrics.roc_auc_score(labels, logits), abs=1e-12)
    assert exact.auc_error == 0
    assert 0.001 < (binned.auc_error or 0) < 0.1


def test_rankings_of_more_logits_than_are_counted_each_are_by_bins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics_module, "MAX_RANKED", 1_000)
    logits, labels = clicks(1_800, seed=13)
    few, more = Sums.of(logits[:900], labels[:900]), Sums.of(logits[900:], labels[900:])
    both = few + more
    assert few.logits is not None
    assert both.logits is None
    assert both.metrics().auc == by_bins(Sums.of(logits, labels)).auc
    assert (both + few).logits is (few + both).logits is Sums.of(logits, labels).logits is None
    assert Sums.from_arrays(both.to_arrays()).logits is None


def test_extreme_logits_keep_an_exact_and_finite_log_loss():
    assert Sums.of(np.array([800.0, -800.0]), np.array([0, 1])).metrics().log_loss == 800
    assert Sums.of(np.array([40.0]), np.array([1])).log_loss == pytest.approx(math.exp(-40))


def test_metrics_by_brute_force():
    logits, labels = clicks(300, seed=0)
    logits = np.round(logits * 4) / 4  # ties, and every logit at the edge of a bin
    users = np.arange(300) % 7
    metrics = Sums.of(logits, labels, groups=users).metrics()

    def auc(rows: NDArray[np.bool_]) -> float:
        pairs = [(a, b) for a in logits[rows & (labels == 1)] for b in logits[rows & (labels == 0)]]
        return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)

    assert metrics.auc == pytest.approx(auc(users >= 0))
    assert metrics.gauc == pytest.approx(sum(auc(users == user) * sum(users == user) for user in range(7)) / 300)
    nats = [math.log1p(math.exp(-z if y else z)) for z, y in zip(logits, labels, strict=True)]
    assert metrics.log_loss == pytest.approx(sum(nats) / 300)


def test_ece_by_brute_force():
    logits, labels = clicks(2_000, seed=1)
    logits = np.unique(np.round(logits * 512) / 512)  # one row a bin, so that 20 equal parts cut between rows
    logits, labels = logits[: len(logits) // 20 * 20], labels[: len(logits) // 20 * 20]
    p = 1 / (1 + np.exp(-logits))
    gaps = [abs(part.mean()) for part in np.split(p - labels, 20)]
    assert Sums.of(logits, labels).metrics().ece == pytest.approx(np.mean(gaps))


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(weighted: bool):
    logits, labels = clicks(5_000, seed=2)
    weights = np.random.default_rng(3).exponential(size=5_000) if weighted else None
    metrics = Sums.of(logits, labels, weights).metrics()
    p = 1 / (1 + np.exp(-logits))
    assert metrics.auc == pytest.approx(sklearn_metrics.roc_auc_score(labels, logits, sample_weight=weights), abs=1e-12)
    assert metrics.pr_auc == pytest.approx(
        sklearn_metrics.average_precision_score(labels, logits, sample_weight=weights)
    )
    assert metrics.log_loss == pytest.approx(sklearn_metrics.log_loss(labels, p, sample_weight=weights))
    assert metrics.base_rate == pytest.approx(np.average(labels, weights=weights))
    assert metrics.calibration == pytest.approx(np.average(p, weights=weights) / np.average(labels, weights=weights))


rows = st.lists(
    st.tuples(
        st.floats(-20, 20) | st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(0, 0.01),
        st.integers(0, 1),
        st.integers(0, 3),  # the user; as a weight, weights of 0 too
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(rows, st.booleans())
def test_auc_is_within_its_stated_error(scored: list[tuple[float, int, int]], weighted: bool):
    logits, labels, weights = np.array(scored, float).reshape(-1, 3).T
    sums = Sums.of(logits, labels, weights if weighted else None)
    exact, binned = sums.metrics(), by_bins(sums)
    if exact.auc is None or binned.auc is None or binned.auc_error is None:
        return
    auc = sklearn_metrics.roc_auc_score(labels, logits, sample_weight=weights if weighted else None)
    assert (exact.auc, exact.auc_error) == (pytest.approx(auc, abs=1e-12), 0)
    assert abs(binned.auc - auc) <= binned.auc_error + 1e-12


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(rows, rows, rows)
def test_sums_of_parts_add_up_to_the_sums_of_the_whole(a, b, c):
    def sums_of(scored: list[tuple[float, int, int]]) -> Sums:
        logits, labels, users = np.array(scored, float).reshape(-1, 3).T
        return Sums.of(logits, labels, groups=users.astype(np.int64))

    whole = sums_of(a + b + c)
    for total in (sums_of(a) + sums_of(b) + sums_of(c), sums_of(c) + (sums_of(b) + sums_of(a))):
        left, right = total.to_arrays(), whole.to_arrays()
        of_tallies = [f"{of}_{part}" for of in ("group", "logit") for part in ("keys", "positives", "negatives")]
        for name in ("rows", "positives", "negatives", *of_tallies):
            assert left[name].tolist() == right[name].tolist(), name
        assert close(total, whole)
        assert total.metrics().gauc == whole.metrics().gauc


def test_a_whole_weight_counts_a_row_that_many_times():
    logits, labels = clicks(400, seed=4)
    times = np.random.default_rng(5).integers(0, 4, 400)
    users = np.arange(400) % 9
    weighted = Sums.of(logits, labels, times, users).metrics()
    repeated = Sums.of(*(np.repeat(column, times) for column in (logits, labels)), groups=np.repeat(users, times))
    expected = repeated.metrics().as_dict() | {"rows": 400}
    assert weighted.as_dict() == pytest.approx(expected)


def test_weighted_and_plain_sums_can_be_added():
    logits, labels = clicks(100, seed=6)
    assert close(
        Sums.of(logits, labels, np.ones(100)) + Sums.of(logits, labels), Sums.of(*np.tile([logits, labels], 2))
    )


def test_many_batches_with_groups_add_up_in_any_order():
    logits, labels = clicks(3_000, seed=7)
    users = np.random.default_rng(8).integers(-(2**63), 2**63 - 1, 500)[np.arange(3_000) % 500]
    batches = [Sums.of(logits[i::30], labels[i::30], groups=users[i::30]) for i in range(30)]
    whole = Sums.of(logits, labels, groups=users)
    assert close(sum(batches, Sums.zero()), whole)
    assert close(sum(batches[::-1], Sums.zero()), whole)
    assert sum(batches, Sums.zero()).metrics().gauc == pytest.approx(whole.metrics().gauc)


def test_float32_logits_score_as_their_float64_values():
    logits, labels = clicks(500, seed=9)
    logits32 = logits.astype(np.float32)
    assert close(Sums.of(logits32, labels.astype(bool)), Sums.of(logits32.astype(np.float64), labels))


def test_tables_of_groups_stay_few_however_many_batches_are_added():
    batches = [Sums.of(np.zeros(10), np.zeros(10), groups=np.arange(10 * i, 10 * i + 10)) for i in range(100)]
    total = sum(batches, Sums.zero())
    sizes = [len(table.keys) for table in total.groups]
    assert sum(sizes) == 1_000
    assert all(larger > 2 * smaller for larger, smaller in pairwise(sizes))


@pytest.mark.parametrize("groups", [None, np.arange(200) % 5])
def test_sums_survive_arrays_and_pickle(groups: NDArray[np.int64] | None):
    sums = Sums.of(*clicks(200, seed=10), groups=groups)
    assert Sums.from_arrays(sums.to_arrays()).metrics() == sums.metrics()
    assert pickle.loads(pickle.dumps(sums)).metrics() == sums.metrics()


def test_adding_zero_changes_nothing():
    sums = Sums.of(*clicks(200, seed=11), groups=np.arange(200) % 5)
    assert (sums + Sums.zero()).metrics() == (Sums.zero() + sums).metrics() == sums.metrics()


def test_the_base_rate_predictor_has_ne_1_calibration_1_and_auc_one_half():
    labels = np.arange(1_000) % 40 == 0
    metrics = Sums.of(np.full(1_000, logit(1 / 40)), labels).metrics()
    assert metrics.ne == pytest.approx(1)
    assert metrics.calibration == pytest.approx(1)
    assert metrics.ece == pytest.approx(0)
    assert metrics.auc == pytest.approx(1 / 2)
    assert metrics.pr_auc == pytest.approx(1 / 40)


def test_perfect_calibration_has_ece_0():
    # Each score twice: a click that weighs p and a non-click that weighs 1 - p.
    p = np.linspace(0.01, 0.99, 500)
    logits, labels, weights = np.tile(logit(*p), 2), np.repeat([1, 0], 500), np.concatenate([p, 1 - p])
    metrics = Sums.of(logits, labels, weights).metrics()
    assert metrics.ece == pytest.approx(0, abs=1e-12)
    assert metrics.calibration == pytest.approx(1)


def test_doubled_odds_are_seen_by_calibration_and_not_by_auc():
    logits, labels = np.array([-3.0, -2.0, -1.0, 0.0]), np.array([0, 0, 1, 0])
    plain, doubled = Sums.of(logits, labels).metrics(), Sums.of(logits + math.log(2), labels).metrics()
    assert doubled.auc == plain.auc
    assert doubled.calibration > plain.calibration


def test_rows_without_groups_count_in_everything_but_gauc():
    grouped = Sums.of(np.array([0.0, 1.0]), np.array([0, 1]), groups=np.array([1, 1]))
    metrics = (grouped + FOUR).metrics()
    assert (metrics.rows, metrics.gauc) == (6, 1)


def test_no_rows_leave_every_metric_undefined():
    for sums in (Sums.zero(), Sums.of(np.empty(0), np.empty(0), groups=np.empty(0, np.int64))):
        assert sums.metrics() == Metrics(rows=0, positives=0)
        assert sums.metrics().as_dict() == {"rows": 0, "positives": 0}
        assert [len(column) for column in sums.roc_curve() + sums.calibration_curve()] == [0] * 5


def test_rows_that_weigh_nothing_leave_every_metric_undefined():
    assert Sums.of(np.zeros(2), np.array([0, 1]), np.zeros(2)).metrics() == Metrics(rows=2, positives=0)


def test_without_clicks_only_log_loss_ece_and_base_rate_are_defined():
    metrics = Sums.of(logit(0.5, 0.5), np.zeros(2), groups=np.array([1, 1])).metrics()
    expected = {"rows": 2, "positives": 0, "log_loss": math.log(2), "ece": 0.5, "base_rate": 0}
    assert metrics.as_dict() == pytest.approx(expected)


def test_with_clicks_only_auc_and_ne_are_undefined():
    metrics = Sums.of(logit(0.5, 0.5), np.ones(2)).metrics()
    expected = {"rows": 2, "positives": 2, "log_loss": math.log(2), "ece": 0.5, "base_rate": 1}
    assert metrics.as_dict() == pytest.approx(expected | {"calibration": 0.5, "pr_auc": 1})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"logits": [0.0, np.nan]}, r"logits: expected finite values, found nan at row 1 \(1 of 2 rows"),
        ({"logits": [-np.inf, 0.0]}, "logits: expected finite values, found -inf at row 0"),
        ({"labels": [0.0, 0.5]}, "labels: expected 0 or 1, found 0.5 at row 1"),
        ({"labels": [np.nan, 0.0]}, "labels: expected 0 or 1, found nan at row 0"),
        ({"weights": [1.0, -2.0]}, "weights: expected finite values of 0 or more, found -2.0 at row 1"),
        ({"weights": [np.nan, 1.0]}, "weights: expected finite values of 0 or more, found nan at row 0"),
        ({"labels": [0.0, 1.0, 1.0]}, r"one length, found {'logits': \(2,\), 'labels': \(3,\)}"),
        ({"logits": [[0.0], [1.0]], "labels": [[0.0], [1.0]]}, "expected one-dimensional columns"),
        ({"groups": [1.0, 2.0]}, "groups: expected integers, such as hashes of the user, found float64"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused_with_what_was_found(columns: dict[str, list[float]], message: str):
    valid = {"logits": [0.0, 1.0], "labels": [0.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        Sums.of(**{name: np.array(values) for name, values in (valid | columns).items()})
