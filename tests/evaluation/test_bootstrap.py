import numpy as np
import pytest
from numpy.typing import NDArray
from scored_rows import NAMES, OBJECTIVES
from sklearn import metrics as sklearn_metrics

from pipeline.evaluation import bootstrap
from pipeline.evaluation.bootstrap import Bootstrap, Comparison, Interval, compare
from pipeline.evaluation.metrics import Sums

Column = NDArray[np.float64]


def two_models(num_rows: int, seed: int, base_noise: float = 0.5) -> tuple[Column, Column, Column]:
    """Logits of two models that err independently, the first by 0.5, and the labels drawn from the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1.5, 1.2, num_rows)
    labels = (random.random(num_rows) < 1 / (1 + np.exp(-truth))).astype(float)
    return truth + random.normal(0, 0.5, num_rows), truth + random.normal(0, base_noise, num_rows), labels


def nats(logits: Column, labels: Column) -> Column:
    p = 1 / (1 + np.exp(-logits))
    return -np.where(labels == 1, np.log(p), np.log(1 - p))


def of(comparison: Comparison) -> dict[str, Interval]:
    return {name: getattr(comparison, name) for name in ("log_loss", "ne", "auc")}


@pytest.mark.parametrize("weights", [None, np.random.default_rng(0).integers(0, 4, 5_000)])
def test_estimates_are_the_differences_of_the_metrics(weights: NDArray[np.int64] | None):
    logits, base_logits, labels = two_models(5_000, seed=1)
    model, base = (Sums.of(z, labels, weights).metrics() for z in (logits, base_logits))
    found = of(compare(logits, base_logits, labels, weights, draws=Bootstrap(2)))
    for name, interval in found.items():
        assert interval.estimate == getattr(model, name) - getattr(base, name), name


def test_the_interval_of_log_loss_is_that_of_the_mean_of_paired_differences():
    logits, base_logits, labels = two_models(2_000, seed=2)
    differences = nats(logits, labels) - nats(base_logits, labels)
    reach = 1.96 * differences.std() / np.sqrt(2_000)
    found = compare(logits, base_logits, labels, draws=Bootstrap(400)).log_loss
    assert found.estimate == pytest.approx(differences.mean())
    assert found.high - found.estimate == pytest.approx(reach, rel=0.15)
    assert found.estimate - found.low == pytest.approx(reach, rel=0.15)


def test_every_replicate_scores_both_models_on_the_same_rows_as_scikit_learn_does():
    # With 2 replicates the bounds of confidence 1 - 1e-9 are the smaller and the greater of their differences.
    logits, base_logits, labels = two_models(400, seed=3)
    weights = np.random.default_rng(4).random(400)
    random = np.random.default_rng(5)
    expected: dict[str, list[float]] = {"log_loss": [], "ne": [], "auc": []}
    for _ in range(2):
        drawn = weights * random.poisson(1.0, 400)
        entropy = nats(np.full(400, -np.log(1 / np.average(labels, weights=drawn) - 1)), labels) @ drawn / drawn.sum()
        log_loss = (nats(logits, labels) - nats(base_logits, labels)) @ drawn / drawn.sum()
        auc = [sklearn_metrics.roc_auc_score(labels, z, sample_weight=drawn) for z in (logits, base_logits)]
        for name, value in (("log_loss", log_loss), ("ne", log_loss / entropy), ("auc", auc[0] - auc[1])):
            expected[name].append(value)
    found = of(compare(logits, base_logits, labels, weights, Bootstrap(2, seed=5, confidence=1 - 1e-9)))
    for name, interval in found.items():
        assert [interval.low, interval.high] == pytest.approx(sorted(expected[name]), abs=1e-9), name


def test_a_better_model_is_clearly_below_in_log_loss_and_ne_and_above_in_auc():
    found = of(compare(*two_models(5_000, seed=6, base_noise=1.0)))
    assert all(interval.is_clear for interval in found.values())
    assert found["log_loss"].high < 0
    assert found["ne"].high < 0
    assert found["auc"].low > 0


@pytest.mark.slow
def test_of_equally_good_models_neither_is_clearly_better():
    # 95 % intervals of 20 seeds: 16 or more hold 0, but for one time in 400.
    found = [of(compare(*two_models(2_000, seed), draws=Bootstrap(100, seed))) for seed in range(20)]
    for name in ("log_loss", "ne", "auc"):
        assert sum(not intervals[name].is_clear for intervals in found) >= 16, name


def test_a_wider_confidence_gives_a_wider_interval():
    rows = two_models(2_000, seed=7)
    narrow, wide = (compare(*rows, draws=Bootstrap(100, confidence=confidence)).auc for confidence in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_same_seed_gives_the_same_intervals_and_another_others():
    rows = two_models(1_000, seed=8)
    assert (
        compare(*rows, draws=Bootstrap(50, seed=3))
        == compare(*rows, draws=Bootstrap(50, seed=3))
        != compare(*rows, draws=Bootstrap(50, seed=4))
    )


def test_a_model_does_not_differ_from_itself():
    logits, _, labels = two_models(1_000, seed=9)
    found = compare(logits, logits.copy(), labels, draws=Bootstrap(50))
    assert found == Comparison(*[Interval(0.0, 0.0, 0.0)] * 3)
    assert not found.log_loss.is_clear


def test_swapped_models_swap_the_sign():
    logits, base_logits, labels = two_models(1_000, seed=10)
    both = ((logits, base_logits), (base_logits, logits))
    there, back = (of(compare(*models, labels, draws=Bootstrap(50))) for models in both)
    for name, interval in there.items():
        swapped = [-back[name].estimate, -back[name].high, -back[name].low]
        assert [interval.estimate, interval.low, interval.high] == pytest.approx(swapped, abs=1e-12), name


def test_a_whole_weight_counts_a_row_that_many_times():
    *columns, labels = two_models(1_000, seed=11)
    times = np.random.default_rng(12).integers(0, 4, 1_000)
    weighted = of(compare(*columns, labels, times, draws=Bootstrap(2)))
    repeated = of(compare(*(np.repeat(column, times) for column in (*columns, labels)), draws=Bootstrap(2)))
    for name, interval in weighted.items():
        assert interval.estimate == pytest.approx(repeated[name].estimate), name


@pytest.mark.slow
def test_rows_drawn_in_groups_give_about_the_intervals_of_rows_drawn_alone(monkeypatch: pytest.MonkeyPatch):
    rows = two_models(10_003, seed=13, base_noise=0.6)
    alone = of(compare(*rows, draws=Bootstrap(600)))
    monkeypatch.setattr(bootstrap, "MAX_GROUPS", 1_500)  # of 7 rows
    grouped = of(compare(*rows, draws=Bootstrap(600)))
    for name, interval in grouped.items():
        assert interval.estimate == alone[name].estimate
        assert interval.high - interval.low == pytest.approx(alone[name].high - alone[name].low, rel=0.15), name


@pytest.mark.parametrize("labels", [np.zeros(100), np.ones(100), np.empty(0)])
def test_rows_of_one_class_compare_to_nothing(labels: Column):
    logits, base_logits, _ = two_models(len(labels), seed=14)
    assert compare(logits, base_logits, labels) == Comparison(None, None, None)


def test_replicates_that_miss_the_one_click_are_left_out_of_ne_and_auc():
    logits, base_logits, _ = two_models(50, seed=15)
    found = of(compare(logits, base_logits, np.arange(50) == 0, draws=Bootstrap(50)))
    assert all(np.isfinite([interval.low, interval.high]).all() for interval in found.values())


def test_float32_logits_and_boolean_labels_compare_as_their_float64_values():
    logits, base_logits, labels = two_models(500, seed=16)
    logits32, base32 = logits.astype(np.float32), base_logits.astype(np.float32)
    found = compare(logits32, base32, labels == 1, draws=Bootstrap(50))
    assert found == compare(logits32.astype(np.float64), base32.astype(np.float64), labels, draws=Bootstrap(50))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base_logits": np.zeros(3)}, r"one length, found {'logits': \(3,\), 'labels': \(2,\)}"),
        ({"labels": np.zeros(3)}, r"one length, found {'logits': \(2,\), 'labels': \(3,\)}"),
        ({"weights": np.ones(3)}, "one length"),
        ({"base_logits": np.array([0.0, np.nan])}, "expected finite values, found nan at row 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed: dict[str, object], message: str):
    valid = {"logits": np.zeros(2), "base_logits": np.zeros(2), "labels": np.array([0, 1])}
    with pytest.raises(ValueError, match=message):
        compare(**(valid | changed))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_replicates": 0}, "num_replicates of 1 or more and confidence between 0 and 1, found 0, 0.95"),
        ({"confidence": 95}, "found 200, 95"),
    ],
)
def test_no_draws_and_no_such_confidence_are_refused(settings: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**settings)


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
@pytest.mark.parametrize("is_weighted", [False, True], ids=["counted", "weighted"])
def test_every_replicate_of_classes_and_of_numbers_is_what_its_rows_add_up_to(kind, rows_of, is_weighted: bool):
    # With 2 replicates the bounds of confidence 1 - 1e-9 are the smaller and the greater of their differences.
    logits, labels = rows_of(400, seed=3)
    base_logits = logits + np.random.default_rng(1).normal(0, 1, logits.shape)
    weights = np.random.default_rng(4).random(400) if is_weighted else None
    names = [name for name in kind.of(logits, labels).metrics().as_dict() if name != "rows"]
    random, expected = np.random.default_rng(5), {name: [] for name in names}
    for _ in range(2):
        drawn = random.poisson(1.0, 400) * (1.0 if weights is None else weights)
        own, its = (kind.of(z, labels, drawn).metrics() for z in (logits, base_logits))
        for name in names:
            expected[name].append(getattr(own, name) - getattr(its, name))
    found = compare(logits, base_logits, labels, weights, Bootstrap(2, seed=5, confidence=1 - 1e-9), kind.objective)
    assert found.auc is None
    for name in names:
        interval = getattr(found, name)
        assert [interval.low, interval.high] == pytest.approx(sorted(expected[name]), abs=1e-9), name
        own, its = (kind.of(z, labels, weights).metrics() for z in (logits, base_logits))
        assert interval.estimate == getattr(own, name) - getattr(its, name)


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
def test_a_better_model_of_classes_or_numbers_is_clearly_below_in_ne(kind, rows_of):
    logits, labels = rows_of(5_000, seed=6)
    worse, _ = rows_of(5_000, seed=6, skill=0.5)
    assert compare(logits, worse, labels, objective=kind.objective).ne.high < 0


@pytest.mark.parametrize(("kind", "rows_of"), OBJECTIVES, ids=NAMES)
def test_rows_of_one_class_or_of_equal_numbers_have_no_comparison(kind, rows_of):
    logits, _ = rows_of(50, seed=7)
    assert compare(logits, logits + 0.1, np.ones(50), objective=kind.objective) == Comparison()
