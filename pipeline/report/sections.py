"""What several pages have: the gate, a comparison, slices, where the time went; and figures as they show them."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.evidence import Evidence, Slice
from pipeline.evaluation.intervals import few_clicks, with_bounds
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.verdict import Reason, Verdict, change_in_words
from pipeline.report import charts
from pipeline.report.markup import Markup, element, section, table
from pipeline.report.page import sentence
from pipeline.report.plots import LEAST_PART
from pipeline.runtime.progress import Phase, seconds_of
from schemas.features import Objective

NUMBER, INTERVAL, WORDS, WIDE, TOOK = "number", "number interval", "words", "number wide", "number took"
DASH = "\N{EN DASH}"
RULES = {
    "rows": "Rows",
    "positives": "Clicks",
    "classes": "Different labels",
    "ne": "NE",
    "auc": "AUC",
    "calibration": "Calibration",
    "auc_error": "Error of the AUC",
    "champion": "Against the champion",
    "slices": "Slices",
    "golden": "Golden rows",
}
_NE, _LOG_LOSS = ("ne", "NE", ".4f", -1), ("log_loss", "Log loss (nats a row)", ".5f", -1)
# Of `Metrics`: name, heading, form, and the sign of a change for the better.
COMPARED: dict[Objective, tuple[tuple[str, str, str, int], ...]] = {
    "binary": (_NE, _LOG_LOSS, ("auc", "AUC", ".4f", 1)),
    "multiclass": (_NE, _LOG_LOSS, ("accuracy", "Accuracy", ".4f", 1), ("macro_f1", "Macro F1", ".4f", 1)),
    "regression": (_NE, ("rmse", "RMSE", ".5g", -1), ("mae", "MAE", ".5g", -1)),
}


def gate(verdict: Verdict | None) -> Iterator[Markup]:
    if verdict is None:
        return

    def row(reason: Reason) -> tuple[str, str, str]:
        rule = RULES.get(reason.rule, capital(reason.rule))
        return _pill(reason.passed), rule, sentence(reason.in_full)

    reasons = verdict.reasons
    num_passed = sum(reason.passed for reason in reasons)
    note = f"{num_passed} of {len(reasons)} rules passed; a model serves only if all do."
    rows = [row(reason) for reason in sorted(reasons, key=lambda reason: reason.passed)]
    yield section("The gate", table((("", ""), ("Rule", ""), ("Found", WORDS)), rows), note=note)


def comparison(evidence: Evidence | None, confidence: float) -> Iterator[Markup]:
    if evidence is None:
        return
    candidate, champion, change = evidence.candidate, evidence.champion, evidence.change
    rows: list[list[str]] = []
    for name, heading, form, better in COMPARED[candidate.objective]:
        ours, theirs = _told(evidence, name, form)
        rows.append([heading, ours, theirs, *change_cells(getattr(change, name, None), better)])
    if candidate.objective == "binary":
        calibration = _told(evidence, "calibration", ".3f")
        rows.append(["Calibration (p over clicks)", *calibration, *_nearer(candidate, champion)])
    columns = [("", ""), ("Candidate", NUMBER), ("Champion", NUMBER), ("Change", NUMBER)]
    columns += [(f"{100 * confidence:g}% interval", INTERVAL), ("", "")]
    note = f"On the same {rows_in_words(candidate)}."
    if champion is None:
        columns, rows = columns[:2], [row[:2] for row in rows]
        note = f"On {rows_in_words(candidate)}. There is no champion."
    note += f" In brackets: the {100 * confidence:g}% interval."
    few = few_clicks(candidate.positives, evidence.bounds)
    note += f" {sentence(few)}" if few else ""
    yield section("Candidate against champion" if champion else "The candidate", table(columns, rows), note=note)


def rows_in_words(metrics: Metrics) -> str:
    """How many were held out, and how many of them are clicks, where some are."""
    clicks = "" if metrics.positives is None else f", {metrics.positives:,.0f} of them clicks"
    return f"{metrics.rows:,} held-out rows{clicks}"


def _told(evidence: Evidence, name: str, form: str) -> tuple[str, str]:
    """A metric of the candidate and of the champion, each with its interval."""
    models = ((evidence.candidate, evidence.bounds), (evidence.champion, evidence.champion_bounds))
    values = [(getattr(metrics, name, None), bounds.get(name)) for metrics, bounds in models]
    ours, theirs = (DASH if value is None else with_bounds(value, bounds, form) for value, bounds in values)
    return ours, theirs


def _nearer(candidate: Metrics, champion: Metrics | None) -> tuple[str, str, str]:
    """Of calibration, without an interval: what counts is the distance from 1, on either side."""
    ours, theirs = candidate.calibration, champion.calibration if champion else None
    difference, said = DASH, ""
    if ours is not None and theirs is not None:
        difference = f"{ours - theirs:+.3f}"
        farther = abs(ours - 1) - abs(theirs - 1)
        said = "nearer to 1" if farther < 0 else "farther from 1" if farther > 0 else ""
    return difference, DASH, said


def change_cells(interval: Interval | None, better: int) -> tuple[str, str, str]:
    """Estimate, bounds and what they say, for a metric that gets better with the sign `better`."""
    if interval is None:
        return DASH, DASH, ""
    estimate, _, bounds = change_in_words(interval).partition(" ")
    if not interval.is_clear:
        return estimate, bounds.strip("()"), "no clear difference"
    is_better = (interval.low > 0) == (better > 0)
    said = element("span", "clearly better" if is_better else "clearly worse", class_="good" if is_better else "bad")
    return estimate, bounds.strip("()"), said


def slices(evidence: Evidence | None, confidence: float) -> Iterator[Markup]:
    found = evidence.slices if evidence else ()
    if not found:
        return
    changes = [part.change for part in found if part.change]
    reach = max((abs(bound) for change in changes for bound in (change.low, change.high)), default=0.0)

    def row(part: Slice) -> list[str]:
        what = [part.column, part.value, f"{part.rows:,}", number(part.candidate.ne, 4)]
        if not changes:
            return what
        champion = number(part.champion.ne if part.champion else None, 4)
        line = charts.whisker(part.change, reach) if part.change else DASH
        return [*what, champion, *change_cells(part.change, better=-1)[:2], line]

    columns = [("Column", ""), ("Value", WORDS), ("Rows", NUMBER), ("NE", NUMBER)]
    if changes:
        columns += [("Champion's", NUMBER), ("Change", NUMBER), (f"{100 * confidence:g}% interval", INTERVAL)]
        columns.append((f"better {DASH} 0 {DASH} worse", "line"))
    yield section("Slices of the held-out rows", table(columns, [row(part) for part in found]))


def waterfall(phases: Sequence[Phase]) -> Iterator[Markup]:
    """Where the time went: each phase from when to when, its parts below it, and what belongs to none.

    Parts of less than LEAST_PART of the whole are left out.
    """
    if not phases:
        return
    whole = max(phase.ended for phase in phases)
    of_none = whole - sum(seconds_of(phases).values())
    columns = [("Phase", WORDS), ("", "bars"), ("From", WIDE), ("To", WIDE), ("Took", TOOK)]
    columns += [("Share", WIDE), ("Rows/s", NUMBER)]
    rows = [_phase_row(one, whole) for one in phases if one.depth == 0 or one.seconds >= LEAST_PART * whole]
    if of_none > LEAST_PART * whole:
        between = element("span", "between them", class_="faint")
        rows.append([between, "", "", "", duration(of_none), share(of_none / whole), ""])
    rows.append(["Together", "", "", "", duration(whole), "", ""])
    if not any(phase.rows for phase in phases):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    yield section("Where the time went", table(columns, rows))


def _phase_row(phase: Phase, whole: float) -> list[str]:
    bar = charts.span(phase.began, phase.ended, whole, is_part=phase.depth > 0)
    rate = phase.rows_per_second
    return [
        element("span", phase.name, class_="faint part", style=f"padding-left: {14 * phase.depth}px")
        if phase.depth
        else capital(phase.name),
        bar,
        duration(phase.began),
        duration(phase.ended),
        duration(phase.seconds),
        share(phase.seconds / whole if whole > 0 else 0.0),
        "" if rate is None else f"{rate:,.0f}",
    ]


def versions(found: Mapping[str, str]) -> Iterator[Markup]:
    if found:
        rows = [(capital(name), version) for name, version in found.items()]
        yield section("Versions", table((("", ""), ("", WORDS)), rows))


def tile(heading: str, value: str, below: str) -> Markup:
    return element("div", element("dt", heading), element("dd", value), element("dd", below, class_="before"))


def _pill(passed: bool) -> Markup:
    return element("span", "pass" if passed else "fail", class_=f"pill {'good' if passed else 'bad'}")


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    if value is None or value == 0:
        return DASH if value is None else "0%"
    return f"{value:.1%}" if value >= 0.1 else f"{value:.2%}" if value >= 0.01 else f"{value:.3%}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
