from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.evaluation.baselines import Baseline
from pipeline.evaluation.bootstrap import Comparison, Interval, compare
from pipeline.evaluation.evidence import Evidence, Slice
from pipeline.evaluation.gate import decide
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.verdict import Reason, Verdict
from schemas.night import GateConfig

GOOD = Metrics(rows=50_000, positives=1_200.0, auc=0.75, auc_error=0.0002, ne=0.8123, calibration=1.02, base_rate=0.024)
CHAMPION = replace(GOOD, auc=0.74, ne=0.8160)
CONFIG = GateConfig(slices=("hour",))
RULES = ["rows", "positives", "classes", "ne", "auc", "calibration", "auc_error", "champion", "slices", "golden"]


def changed_by(estimate: float, low: float, high: float) -> Comparison:
    return Comparison(log_loss=None, ne=Interval(estimate, low, high), auc=None)


BETTER = changed_by(-0.0037, -0.0051, -0.0022)


def slice_of(estimate: float, low: float, high: float, rows: int = 5_000, value: str = "7") -> Slice:
    return Slice("hour", value, rows, replace(GOOD, rows=rows), CHAMPION, Interval(estimate, low, high))


def evidence(**changes: Any) -> Evidence:
    """Of a candidate that passes every rule, but for `changes`."""
    given: dict[str, Any] = {"candidate": GOOD, "champion": CHAMPION, "change": BETTER}
    given |= {"slices": (slice_of(-0.01, -0.02, 0.01),), "golden_difference": 3e-8}
    return Evidence(**(given | changes))


def failed(verdict: Verdict) -> list[str]:
    assert verdict.promote is all(reason.passed for reason in verdict.reasons)
    return [reason.rule for reason in verdict.reasons if not reason.passed]


def words_of(verdict: Verdict, rule: str) -> str:
    [words] = [reason.words for reason in verdict.reasons if reason.rule == rule]
    return words


def test_a_candidate_that_passes_every_rule_is_promoted_for_its_ne_against_the_champions():
    verdict = decide(evidence(), CONFIG)
    assert verdict.promote
    assert [reason.rule for reason in verdict.reasons] == RULES
    assert verdict.reason == (
        "NE 0.8123 is below the champion's 0.8160 on the same 50,000 rows: -0.0037 (-0.0051 to -0.0022)"
    )


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        ("positives", {"positives": 99.0}, "99 held-out clicks are fewer than 100 (night.gate.min_positives: 100)"),
        ("positives", {"positives": 99.5}, "99.5 held-out clicks are fewer than 100 (night.gate.min_positives: 100)"),
        ("ne", {"ne": float("nan")}, "NE is nan (night.gate.max_ne: null)"),
        ("auc", {"auc": 0.5}, "AUC 0.5000 is not above 0.5 (night.gate.min_auc: 0.5)"),
        ("auc", {"auc": 0.49}, "AUC 0.4900 is not above 0.5 (night.gate.min_auc: 0.5)"),
        (
            "calibration",
            {"calibration": 0.79996},
            "calibration 0.799960 is outside 0.8 to 1.25 (night.gate.calibration: [0.8, 1.25])",
        ),
        (
            "calibration",
            {"calibration": 1.3},
            "calibration 1.3000 is outside 0.8 to 1.25 (night.gate.calibration: [0.8, 1.25])",
        ),
        (
            "auc_error",
            {"auc_error": 0.0025},
            "the AUC's own error of 0.0025 is above 0.001 (night.gate.max_auc_error: 0.001)",
        ),
    ],
)
def test_each_bound_on_the_candidate_alone_keeps_the_champion(rule: str, changes: dict[str, float], words: str):
    verdict = decide(evidence(candidate=replace(GOOD, **changes)), CONFIG)
    assert failed(verdict) == [rule]
    assert verdict.reason == words


@pytest.mark.parametrize(("ne", "passes"), [(1.0, False), (1.25, False), (float(np.nextafter(1.0, 0.0)), True)])
def test_a_bound_of_ne_holds_where_a_config_sets_one(ne: float, passes: bool):
    candidate, config = replace(GOOD, ne=ne), GateConfig(max_ne=1)
    verdict = decide(evidence(candidate=candidate), config)
    assert failed(verdict) == ([] if passes else ["ne"])
    assert passes or verdict.reason == f"NE {ne:.4f} is not below 1 (night.gate.max_ne: 1.0)"
    assert failed(decide(evidence(candidate=candidate), CONFIG)) == []


@pytest.mark.parametrize(
    ("change", "passes", "words"),
    [
        ((-0.19, -0.21, -0.17), True, "NE 0.8123 is below the 1.0023 of the training days' base rate of 2.5%"),
        ((0.0021, -0.001, 0.005), True, "NE 0.8123 is above the 1.0023 of the training days' base rate of 2.5%"),
        ((0.0021, 0.0, 0.005), True, "NE 0.8123 is above the"),
        ((0.0021, 0.0005, 0.004), False, "NE 0.8123 is clearly above the 1.0023 of the training days' base rate of"),
        ((0.0, 0.0, 0.0), True, "NE 0.8123 is equal to the 1.0023 of the training days' base rate"),
        ((float("nan"),) * 3, False, "NE 0.8123 is clearly above"),
    ],
)
def test_who_is_clearly_worse_than_the_base_rate_of_the_training_days_is_refused(change, passes: bool, words: str):
    verdict = decide(evidence(baseline=Baseline(0.025, 1.0023, Interval(*change))), CONFIG)
    assert failed(verdict) == ([] if passes else ["ne"])
    (reason,) = [reason for reason in verdict.reasons if reason.rule == "ne"]
    assert reason.in_full.startswith(words)
    assert reason.in_full.endswith(" (night.gate.confidence: 0.95)")


def test_where_nobody_knows_the_training_days_rows_no_base_rate_refuses_anything():
    reason = words_of(decide(evidence(candidate=replace(GOOD, ne=1.02)), CONFIG), "ne")
    assert reason == "NE 1.0200; no base rate to hold it against"


def test_44_clicks_do_not_tell_a_fifth_too_many_promised_from_the_base_rate_and_862_do():
    for rows, clicks, passes in ((9_000, 44, True), (180_000, 862, False)):
        labels = np.arange(rows) % 209 == 0
        sums = Sums.of(np.full(rows, np.log(1.2 / 208)), labels)
        judged = Evidence(sums.metrics(), baseline=Baseline.of(sums, 1 / 209, 0.95))
        assert (judged.candidate.positives, judged.candidate.ne > 1) == (clicks, True)
        assert ("ne" in failed(decide(judged, GateConfig()))) is not passes


def test_too_few_rows_alone_keep_the_champion():
    few, fewer = (replace(metrics, rows=999) for metrics in (GOOD, CHAMPION))
    verdict = decide(evidence(candidate=few, champion=fewer), CONFIG)
    assert failed(verdict) == ["rows"]
    assert verdict.reason == "999 held-out rows are fewer than 1,000 (night.gate.min_rows: 1000)"


@pytest.mark.parametrize(
    "changes",
    [
        {"positives": 100.0},
        {"calibration": 0.8},
        {"calibration": 1.25},
        {"auc_error": 0.001},
        {"auc": float(np.nextafter(0.5, 1.0))},
    ],
    ids=str,
)
def test_the_bounds_themselves_pass_where_they_say_at_least_and_at_most(changes: dict[str, float]):
    assert failed(decide(evidence(candidate=replace(GOOD, **changes)), CONFIG)) == []


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ((-0.0037, -0.0051, -0.0022), True),
        ((-0.0001, -0.0030, 0.0009), True),
        ((-0.0001, -0.0030, 0.0010), True),  # the margin itself
        ((-0.0001, -0.0030, 0.0011), False),
        ((0.0, 0.0, 0.0), True),  # the same model again
        ((0.0001, -0.0002, 0.0004), False),  # within the margin, but observed worse
        ((0.0037, 0.0022, 0.0051), False),
        ((float("nan"), float("nan"), float("nan")), False),
    ],
)
def test_ne_must_be_no_worse_as_observed_and_by_its_interval_not_by_more_than_the_margin(
    change: tuple[float, float, float], passes: bool
):
    verdict = decide(evidence(change=changed_by(*change)), CONFIG)
    assert failed(verdict) == ([] if passes else ["champion"])


def test_the_words_of_a_worse_ne_hold_its_figures_and_its_bound():
    worse = decide(evidence(change=changed_by(0.0037, 0.0022, 0.0051), candidate=replace(GOOD, ne=0.8197)), CONFIG)
    assert worse.reason == (
        "NE 0.8197 is above the champion's 0.8160 on the same 50,000 rows: +0.0037 (+0.0022 to +0.0051), "
        "where the upper bound must not be above 0.001 (night.gate.ne_margin: 0.001)"
    )


def test_a_difference_too_small_for_four_decimals_is_shown_with_more():
    candidate = replace(GOOD, ne=0.815988)
    verdict = decide(evidence(candidate=candidate, change=changed_by(-0.000012, -0.00003, 0.000004)), CONFIG)
    assert verdict.reason == (
        "NE 0.815988 is below the champion's 0.816000 on the same 50,000 rows: -0.000012 (-0.000030 to +0.000004)"
    )


def test_no_margin_asks_for_an_interval_that_reaches_no_higher_than_zero():
    strict = GateConfig(ne_margin=0)
    assert failed(decide(evidence(change=changed_by(-0.002, -0.004, 0.0)), strict)) == []
    assert failed(decide(evidence(change=changed_by(-0.002, -0.004, 1e-9)), strict)) == ["champion"]


@pytest.mark.parametrize(
    ("part", "passes"),
    [
        (slice_of(0.05, 0.03, 0.07), False),
        (slice_of(0.05, -0.01, 0.11), True),  # not clear
        (slice_of(0.05, 0.0, 0.10), True),
        (slice_of(0.019, 0.01, 0.03), True),  # clear, but within the margin
        (slice_of(0.02, 0.01, 0.03), True),
        (slice_of(0.05, 0.03, 0.07, rows=1_000), False),
        (slice_of(0.05, 0.03, 0.07, rows=999), True),  # small
        (replace(slice_of(0, 0, 0), change=None), True),  # one class
    ],
)
def test_a_slice_fails_only_if_it_is_clearly_worse_by_more_than_the_margin(part: Slice, passes: bool):
    verdict = decide(evidence(slices=(slice_of(-0.01, -0.02, 0.01, value="8"), part)), CONFIG)
    assert failed(verdict) == ([] if passes else ["slices"])


def test_the_worst_slices_are_named_and_the_rest_counted():
    slices = tuple(slice_of(0.03 + 0.01 * hour, 0.01, 0.2, value=str(hour)) for hour in range(5))
    verdict = decide(evidence(slices=slices), CONFIG)
    assert verdict.reason == (
        "NE is clearly above the champion's by more than 0.02 in hour=4 (5,000 rows): +0.0700 (+0.0100 to +0.2000), "
        "hour=3 (5,000 rows): +0.0600 (+0.0100 to +0.2000), hour=2 (5,000 rows): +0.0500 (+0.0100 to +0.2000) "
        "and in 2 more slices (night.gate.slice_margin: 0.02)"
    )


@pytest.mark.parametrize(("difference", "passes"), [(0.0, True), (1e-6, True), (1.1e-6, False), (float("nan"), False)])
def test_the_registered_model_must_score_the_golden_rows_alike(difference: float, passes: bool):
    verdict = decide(evidence(golden_difference=difference), CONFIG)
    assert failed(verdict) == ([] if passes else ["golden"])


def test_golden_rows_that_were_not_checked_pass_and_say_so():
    verdict = decide(evidence(golden_difference=None), CONFIG)
    assert verdict.promote
    assert words_of(verdict, "golden") == "no golden rows were scored again"


def test_without_a_champion_the_absolute_bounds_decide():
    alone = Slice("hour", "7", 5_000, GOOD, None, None)
    first = decide(Evidence(GOOD, slices=(alone,)), CONFIG)
    assert first.promote
    assert first.reason == "NE 0.8123; there is no champion yet"
    assert words_of(first, "slices") == "1 slice; there is no champion yet"
    assert failed(decide(Evidence(replace(GOOD, ne=1.01)), GateConfig(max_ne=1))) == ["ne"]


@pytest.mark.parametrize("labels", [np.zeros(2_000), np.ones(2_000), np.zeros(0)], ids=["no clicks", "clicks", "none"])
def test_rows_of_one_class_promote_nothing_and_say_why(labels: np.ndarray):
    logits = np.linspace(-4, 4, len(labels))
    metrics = Sums.of(logits, labels).metrics()
    for champion in (None, metrics):
        verdict = decide(Evidence(metrics, champion, compare(logits, logits, labels)), CONFIG)
        assert not verdict.promote
        assert "one class only" in verdict.reason
        assert {"classes", "ne", "auc", "auc_error"} <= set(failed(verdict))


def test_rules_that_fail_together_are_all_judged_and_all_said():
    candidate = replace(GOOD, ne=1.1, calibration=2.0)
    config = GateConfig(max_ne=1, slices=("hour",))
    verdict = decide(evidence(candidate=candidate, change=changed_by(0.284, 0.2, 0.3)), config)
    assert failed(verdict) == ["ne", "calibration", "champion"]
    assert verdict.reason == "; ".join(reason.in_full for reason in verdict.reasons if not reason.passed)


def test_every_reason_ends_with_its_key_as_a_config_takes_it_but_for_the_one_that_no_key_moves():
    verdicts = [(decide(evidence(), CONFIG), CONFIG), (decide(Evidence(Metrics(0, 0.0)), GateConfig()), GateConfig())]
    for verdict, config in verdicts:
        assert [reason.rule for reason in verdict.reasons if not reason.key] == ["classes"]
        for reason in verdict.reasons:
            if reason.key:
                name, _, value = reason.key.removeprefix("night.gate.").partition(": ")
                assert reason.in_full == f"{reason.words} ({reason.key})"
                assert GateConfig.model_validate({name: yaml.safe_load(value)}) == GateConfig.model_validate(
                    {name: getattr(config, name)}
                )


def test_who_is_promoted_is_told_by_its_figures_and_no_key():
    assert "night.gate" not in decide(evidence(), CONFIG).reason


def test_a_better_model_on_real_rows_replaces_a_worse_one_and_not_the_other_way_round():
    random = np.random.default_rng(0)
    truth = random.normal(-2, 1, 5_000)
    labels = (random.random(5_000) < 1 / (1 + np.exp(-truth))).astype(float)
    noisy = truth + random.normal(0, 0.7, 5_000)
    better, worse = (Sums.of(logits, labels).metrics() for logits in (truth, noisy))
    assert decide(Evidence(better, worse, compare(truth, noisy, labels)), GateConfig()).promote
    assert failed(decide(Evidence(worse, better, compare(noisy, truth, labels)), GateConfig())) == ["champion"]


def test_models_that_were_scored_on_different_rows_are_not_compared():
    with pytest.raises(AssertionError, match="different rows"):
        decide(evidence(champion=replace(CHAMPION, rows=49_999)), CONFIG)


def test_a_reason_stands_in_place_of_its_rules_own_and_decides_with_the_others():
    verdict = decide(evidence(), CONFIG)
    assert verdict.promote
    worse = verdict.judging(Reason("champion", False, "it cannot score this log"))
    assert (worse.promote, worse.reason, [one.rule for one in worse.reasons]) == (
        False,
        "it cannot score this log",
        RULES,
    )
    assert worse.judging(Reason("champion", True, "it goes on")).reason == "it goes on"
    assert verdict.judging(Reason("moon", False, "it is not full")).failed_rules == ("moon",)


OF_CLASSES = Metrics(rows=50_000, ne=0.61, log_loss=1.2, accuracy=0.7, macro_f1=0.6, objective="multiclass")
OF_NUMBERS = Metrics(rows=50_000, ne=0.61, rmse=12.5, mae=9.0, objective="regression")


@pytest.mark.parametrize(
    ("candidate", "constant", "words"),
    [
        (OF_CLASSES, (0.25, 0.75), "class shares"),
        (OF_NUMBERS, 152.1335, "mean of 152.1"),
    ],
    ids=["classes", "numbers"],
)
def test_classes_and_numbers_are_judged_by_ne_and_by_nothing_that_speaks_of_clicks(candidate, constant, words):
    champion = replace(candidate, ne=0.6137)
    baseline = Baseline(constant, 1.01, Interval(-0.4, -0.41, -0.39))
    verdict = decide(evidence(candidate=candidate, champion=champion, baseline=baseline, slices=()), CONFIG)
    assert verdict.promote
    assert [reason.rule for reason in verdict.reasons] == ["rows", "classes", "ne", "champion", "slices", "golden"]
    told = f"NE 0.6100 is below the 1.0100 of the training days' {words}: -0.4000 (-0.4100 to -0.3900)"
    assert words_of(verdict, "ne") == told
    worse = replace(baseline, change=Interval(0.02, 0.01, 0.03))
    assert failed(decide(evidence(candidate=candidate, champion=champion, baseline=worse, slices=()), CONFIG)) == ["ne"]


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (replace(OF_CLASSES, ne=None), "the held-out rows hold one class only, which no NE can be computed of"),
        (replace(OF_NUMBERS, ne=None), "the labels of the held-out rows are all equal, which no NE can be computed of"),
    ],
    ids=["one class", "equal numbers"],
)
def test_held_out_rows_of_one_class_or_of_equal_numbers_promote_nothing(candidate: Metrics, words: str):
    verdict = decide(Evidence(candidate), CONFIG)
    assert failed(verdict) == ["classes", "ne"]
    assert words_of(verdict, "classes") == words
