"""May the candidate become champion? Rules over figures, each judged and each said, and the verdict they add up to."""

import math

from pipeline.evaluation.baselines import CONSTANTS, Baseline
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.evidence import Evidence, Slice
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.verdict import Reason, Verdict, change_in_words, figure
from schemas.features import Objective
from schemas.night import GateConfig, setting

MAX_GOLDEN_DIFFERENCE = 1e-6  # of p, or of the largest number; what the same float32 weights come to elsewhere
VARIED: dict[Objective, str] = {
    "binary": "both classes",
    "multiclass": "several classes",
    "regression": "different numbers",
}
NO_CHAMPION = "there is no champion yet"


def decide(evidence: Evidence, config: GateConfig) -> Verdict:
    """Judge every rule; without a champion those that compare with it pass, and the absolute bounds decide.

    Figures that are undefined or NaN fail the rule that needs them. Classes and numbers have no clicks, AUC or
    calibration, and none of their rules.
    """
    candidate, champion = evidence.candidate, evidence.champion
    if champion is not None:
        assert champion.rows == candidate.rows, "candidate and champion were scored on different rows"
    of_clicks = candidate.objective == "binary"
    reasons = (
        _enough_rows(candidate, config),
        *((_enough_positives(candidate, config),) if of_clicks else ()),
        _varied_labels(candidate),
        _ne(evidence, config),
        *((rule(candidate, config) for rule in (_auc, _calibration, _auc_error)) if of_clicks else ()),
        _champion(evidence, config),
        _slices(evidence, config),
        _golden(evidence, config),
    )
    return Verdict(all(reason.passed for reason in reasons), reasons)


def _enough_rows(candidate: Metrics, config: GateConfig) -> Reason:
    passed = candidate.rows >= config.min_rows
    least = f"{config.min_rows:,}"
    held_out = f"{candidate.rows:,} held-out rows"
    words = f"{held_out}, at least {least}" if passed else f"{held_out} are fewer than {least}"
    return Reason("rows", passed, words, setting(config, "min_rows"))


def _enough_positives(candidate: Metrics, config: GateConfig) -> Reason:
    assert candidate.positives is not None, "clicks are counted"
    passed = candidate.positives >= config.min_positives
    least = f"{config.min_positives:,}"
    clicks = f"{candidate.positives:,.1f}".removesuffix(".0") + " held-out clicks"  # of weighted rows, a fraction
    words = f"{clicks}, at least {least}" if passed else f"{clicks} are fewer than {least}"
    return Reason("positives", passed, words, setting(config, "min_positives"))


def _varied_labels(candidate: Metrics) -> Reason:
    if candidate.objective == "multiclass" and candidate.ne is not None:
        return Reason("classes", True, "the held-out rows are of several classes")
    if candidate.objective == "regression" and candidate.ne is not None:
        return Reason("classes", True, "the labels of the held-out rows differ")
    if candidate.objective == "regression":
        return Reason("classes", False, "the labels of the held-out rows are all equal, which no NE can be computed of")
    if candidate.base_rate is not None and 0 < candidate.base_rate < 1:
        return Reason("classes", True, f"{_percent(candidate.base_rate)} of the held-out rows are clicks")
    figures = "NE or AUC" if candidate.objective == "binary" else "NE"
    return Reason("classes", False, f"the held-out rows hold one class only, which no {figures} can be computed of")


def _ne(evidence: Evidence, config: GateConfig) -> Reason:
    """Not clearly worse than the constant of the training days, and below the bound, where there is one."""
    ne, bound, baseline = evidence.candidate.ne, config.max_ne, evidence.baseline
    if ne is None or not math.isfinite(ne):
        return Reason("ne", False, f"NE is {'undefined' if ne is None else ne}", setting(config, "max_ne"))
    if bound is not None and ne >= bound:
        return Reason("ne", False, f"NE {figure(ne, ne - bound)} is not below {bound:g}", setting(config, "max_ne"))
    objective = evidence.candidate.objective
    if baseline is None:
        words = f"NE {figure(ne)}; no {CONSTANTS[objective]} to hold it against"
        return Reason("ne", True, words, setting(config, "max_ne"))
    change = baseline.change
    relation = "below" if change.estimate < 0 else "equal to" if change.estimate == 0 else "above"
    whose = (
        f"the {figure(baseline.ne, change.estimate)} of the training days' {_constant_in_words(baseline, objective)}"
    )
    words = f"NE {figure(ne, change.estimate)} is {'' if change.low <= 0 else 'clearly '}{relation} {whose}"
    return Reason("ne", change.low <= 0, f"{words}: {change_in_words(change)}", setting(config, "confidence"))


def _constant_in_words(baseline: Baseline, objective: Objective) -> str:
    constant, name = baseline.constant, CONSTANTS[objective]
    if isinstance(constant, tuple):
        return name
    return f"{name} of {_percent(constant) if objective == 'binary' else format(constant, '.4g')}"


def _auc(candidate: Metrics, config: GateConfig) -> Reason:
    key = setting(config, "min_auc")
    if candidate.auc is None:
        return Reason("auc", False, "AUC is undefined", key)
    passed = candidate.auc > config.min_auc
    auc = figure(candidate.auc, candidate.auc - config.min_auc)
    return Reason("auc", passed, f"AUC {auc} is {'' if passed else 'not '}above {config.min_auc:g}", key)


def _calibration(candidate: Metrics, config: GateConfig) -> Reason:
    key = setting(config, "calibration")
    if candidate.calibration is None:
        return Reason("calibration", False, "calibration is undefined without clicks", key)
    low, high = config.calibration
    passed = low <= candidate.calibration <= high
    gap = min(abs(candidate.calibration - bound) for bound in (low, high))
    where = "within" if passed else "outside"
    calibration = figure(candidate.calibration, gap)
    return Reason("calibration", passed, f"calibration {calibration} is {where} {low:g} to {high:g}", key)


def _auc_error(candidate: Metrics, config: GateConfig) -> Reason:
    error, bound, key = candidate.auc_error, config.max_auc_error, setting(config, "max_auc_error")
    if error is None:
        return Reason("auc_error", False, "the AUC's own error is undefined", key)
    passed = error <= bound
    shown = f"the AUC's own error of {figure(error, error - bound)}"
    return Reason("auc_error", passed, f"{shown} is {'at most' if passed else 'above'} {bound:g}", key)


def _champion(evidence: Evidence, config: GateConfig) -> Reason:
    """Non-inferior: as observed no worse, and by the interval not by more than the margin."""
    ours, champion, key = evidence.candidate.ne, evidence.champion, setting(config, "ne_margin")
    if champion is None:
        return Reason("champion", True, NO_CHAMPION if ours is None else f"NE {figure(ours)}; {NO_CHAMPION}", key)
    change = None if evidence.change is None else evidence.change.ne
    if ours is None or champion.ne is None or change is None:
        words = "NE cannot be compared with the champion's: the held-out rows don't define it"
        return Reason("champion", False, words, key)
    no_worse, within = change.estimate <= 0, change.high <= config.ne_margin
    relation = "below" if change.estimate < 0 else "equal to" if no_worse else "above"
    ne, base = (figure(value, change.estimate) for value in (ours, champion.ne))
    rows = f"on the same {evidence.candidate.rows:,} rows"
    words = f"NE {ne} is {relation} the champion's {base} {rows}: {change_in_words(change)}"
    if not within:
        words += f", where the upper bound must not be above {config.ne_margin:g}"
    return Reason("champion", no_worse and within, words, key)


def _slices(evidence: Evidence, config: GateConfig) -> Reason:
    slices, columns = evidence.slices, ", ".join(config.slices)
    least, smallest = f"{config.slice_min_rows:,}", setting(config, "slice_min_rows")
    if not slices and not columns:
        return Reason("slices", True, "no slices asked for", setting(config, "slices"))
    if not slices:
        return Reason("slices", True, f"no slice of {columns} has {least} rows", smallest)
    if evidence.champion is None:
        return Reason("slices", True, f"{_count(len(slices), 'slice')}; {NO_CHAMPION}", setting(config, "slice_margin"))
    judged = [(part.change, part) for part in slices if part.change and part.rows >= config.slice_min_rows]
    if not judged:
        words = f"of {_count(len(slices), 'slice')} none has {least} rows of {VARIED[evidence.candidate.objective]}"
        return Reason("slices", True, words, smallest)
    key = setting(config, "slice_margin")
    judged.sort(key=lambda pair: pair[0].estimate, reverse=True)
    worse = [_in_words(part) for change, part in judged if not _holds(change, config)]
    if worse:
        more = f" and in {_count(len(worse) - 3, 'more slice')}" if len(worse) > 3 else ""
        words = f"NE is clearly above the champion's by more than {config.slice_margin:g} in " + ", ".join(worse[:3])
        return Reason("slices", False, words + more, key)
    clearly = f"NE clearly above the champion's by more than {config.slice_margin:g}"
    words = f"of {_count(len(judged), 'slice')} none has {clearly}"
    return Reason("slices", True, f"{words}; the largest change is that of {_in_words(judged[0][1])}", key)


def _holds(change: Interval, config: GateConfig) -> bool:
    """Not worse by more than the margin, or not clearly worse."""
    return change.estimate <= config.slice_margin or change.low <= 0


def _golden(evidence: Evidence, config: GateConfig) -> Reason:
    difference, key = evidence.golden_difference, setting(config, "golden_rows")
    if difference is None:
        return Reason("golden", True, "no golden rows were scored again", key)
    passed = difference <= MAX_GOLDEN_DIFFERENCE
    scored = f"the registered model, loaded in a process of its own, scores {'' if passed else 'not '}alike"
    what = "apart, as a share of the largest number" if evidence.candidate.objective == "regression" else "apart in p"
    return Reason("golden", passed, f"{scored}: {difference:.3g} {what}, {MAX_GOLDEN_DIFFERENCE:g} allowed", key)


def _in_words(part: Slice) -> str:
    assert part.change is not None
    return f"{part.column}={part.value} ({part.rows:,} rows): {change_in_words(part.change)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
