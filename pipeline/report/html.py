"""The morning's page: one HTML file that says what the night decided, and shows on what grounds."""

from collections.abc import Iterator

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.gate import Evidence, Reason, Slice, change_in_words
from pipeline.evaluation.intervals import few_clicks, with_bounds
from pipeline.evaluation.metrics import Metrics
from pipeline.report import charts
from pipeline.report.markup import Markup, document, element, joined, section, table
from pipeline.report.page import ColumnProfile, DataProfile, Growth, Night, Page, lead, sentence, two_sentences
from pipeline.report.plots import plot_calibration

__all__ = ["Page", "Night", "DataProfile", "ColumnProfile", "Growth", "render", "two_sentences"]

NUMBER, INTERVAL, WORDS = "number", "number interval", "words"
DASH = "\N{EN DASH}"
RULES = {
    "rows": "Rows",
    "positives": "Clicks",
    "classes": "Both classes",
    "ne": "NE",
    "auc": "AUC",
    "calibration": "Calibration",
    "auc_error": "Error of the AUC",
    "champion": "Against the champion",
    "slices": "Slices",
    "golden": "Golden rows",
}
# Of `Metrics`: name, heading, decimals, and the sign of a change for the better.
COMPARED = (("ne", "NE", 4, -1), ("log_loss", "Log loss (nats a row)", 5, -1), ("auc", "AUC", 4, 1))


def render(page: Page) -> str:
    """The page as one HTML file without a script; the same page gives the same bytes."""
    body = [_header(page)]
    for part in (_rules, _comparison, _plots, _slices, _data, _particulars):
        body += part(page)
    return document(f"{page.model}, {page.date}: {page.became}", *body)


def _header(page: Page) -> Markup:
    word, _, rest = lead(page).partition(": ")
    why = [element("p", sentence(page.reason))] if page.reason else []
    notes = [element("p", note) for note in page.notes]
    where = element("p", f"Nightjar · {page.model} · {page.date}", class_="where")
    what = element("p", sentence(rest), class_="lead")
    return element("header", where, element("h1", word), what, *why, *notes, class_=page.outcome)


def _rules(page: Page) -> Iterator[Markup]:
    if page.verdict is None:
        return

    def row(reason: Reason) -> tuple[str, str, str]:
        rule = RULES.get(reason.rule, _capital(reason.rule))
        return _pill(reason.passed), rule, sentence(reason.in_full)

    reasons = page.verdict.reasons
    num_passed = sum(reason.passed for reason in reasons)
    note = f"{num_passed} of {len(reasons)} rules passed; a model serves only if all do."
    rows = [row(reason) for reason in sorted(reasons, key=lambda reason: reason.passed)]
    yield section("The gate", table((("", ""), ("Rule", ""), ("Found", WORDS)), rows), note=note)


def _comparison(page: Page) -> Iterator[Markup]:
    if page.evidence is None:
        return
    candidate, champion, change = page.evidence.candidate, page.evidence.champion, page.evidence.change
    rows: list[list[str]] = []
    for name, heading, digits, better in COMPARED:
        ours, theirs = _told(page.evidence, name, digits)
        rows.append([heading, ours, theirs, *_change(getattr(change, name, None), better)])
    rows.append(["Calibration (p over clicks)", *_told(page.evidence, "calibration", 3), *_nearer(candidate, champion)])
    columns = [("", ""), ("Candidate", NUMBER), ("Champion", NUMBER), ("Change", NUMBER)]
    columns += [(f"{100 * page.confidence:g}% interval", INTERVAL), ("", "")]
    note = f"On the same {candidate.rows:,} held-out rows, {candidate.positives:,.0f} of them clicks."
    if champion is None:
        columns, rows = columns[:2], [row[:2] for row in rows]
        note = f"On {candidate.rows:,} held-out rows, {candidate.positives:,.0f} of them clicks. There is no champion."
    note += f" In brackets: the {100 * page.confidence:g}% interval."
    few = few_clicks(candidate.positives, page.evidence.bounds)
    note += f" {sentence(few)}" if few else ""
    yield section("Candidate against champion" if champion else "The candidate", table(columns, rows), note=note)


def _told(evidence: Evidence, name: str, digits: int) -> tuple[str, str]:
    """A metric of the candidate and of the champion, each with its interval."""
    models = ((evidence.candidate, evidence.bounds), (evidence.champion, evidence.champion_bounds))
    values = [(getattr(metrics, name, None), bounds.get(name)) for metrics, bounds in models]
    ours, theirs = (DASH if value is None else with_bounds(value, bounds, f".{digits}f") for value, bounds in values)
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


def _change(interval: Interval | None, better: int) -> tuple[str, str, str]:
    """Estimate, bounds and what they say, for a metric that gets better with the sign `better`."""
    if interval is None:
        return DASH, DASH, ""
    estimate, _, bounds = change_in_words(interval).partition(" ")
    if not interval.is_clear:
        return estimate, bounds.strip("()"), "no clear difference"
    is_better = (interval.low > 0) == (better > 0)
    said = element("span", "clearly better" if is_better else "clearly worse", class_="good" if is_better else "bad")
    return estimate, bounds.strip("()"), said


def _plots(page: Page) -> Iterator[Markup]:
    plots = []
    if page.curves:
        label = "Observed click-through rate against mean p, " + " and ".join(page.curves)
        drawn = charts.inline(plot_calibration(page.curves), label)
        plots.append(section("Calibration, in 20 bins of equal rows", drawn, class_="square"))
    nights = [(night.date, night.ne, night.was_promoted) for night in page.nights if night.ne is not None]
    if nights:
        days, nes, was_promoted = zip(*nights, strict=True)
        label = f"NE of each night's champion, from {days[0]} to {days[-1]}; the last is {nes[-1]:.4f}"
        plot = charts.plot_ne_by_day(days, nes, was_promoted, is_alone=not plots)
        plots.append(section("NE of each night's champion on the day that was new", charts.inline(plot, label)))
    if plots:
        yield element("div", *plots, class_="columns plots")


def _slices(page: Page) -> Iterator[Markup]:
    slices = page.evidence.slices if page.evidence else ()
    if not slices:
        return
    changes = [part.change for part in slices if part.change]
    reach = max((abs(bound) for change in changes for bound in (change.low, change.high)), default=0.0)

    def row(part: Slice) -> list[str]:
        what = [part.column, part.value, f"{part.rows:,}", _number(part.candidate.ne, 4)]
        if not changes:
            return what
        champion = _number(part.champion.ne if part.champion else None, 4)
        line = charts.whisker(part.change, reach) if part.change else DASH
        return [*what, champion, *_change(part.change, better=-1)[:2], line]

    columns = [("Column", ""), ("Value", WORDS), ("Rows", NUMBER), ("NE", NUMBER)]
    if changes:
        columns += [("Champion's", NUMBER), ("Change", NUMBER), (f"{100 * page.confidence:g}% interval", INTERVAL)]
        columns.append((f"better {DASH} 0 {DASH} worse", "line"))
    yield section("Slices of the held-out rows", table(columns, [row(part) for part in slices]))


def _data(page: Page) -> Iterator[Markup]:
    profile = page.profile
    if profile is None:
        return
    before = "" if profile.trailing_rows is None else f"{profile.trailing_rows:,.0f} a day before"
    rate_before = "" if profile.trailing_label_rate is None else f"{_share(profile.trailing_label_rate)} before"
    bad_share = f"{_share(profile.bad_rows / profile.rows)} of the rows" if profile.rows else ""
    tiles = [
        _tile("Rows", f"{profile.rows:,}", before),
        _tile("Label rate", _share(profile.label_rate), rate_before),
        _tile("Bad rows", f"{profile.bad_rows:,}", bad_share),
    ]
    parts = [element("dl", *tiles, class_="tiles")]
    if profile.breaches:
        parts.append(element("ul", *(element("li", sentence(breach)) for breach in profile.breaches), class_="bad"))
    if profile.unusual:
        parts.append(element("ul", *(element("li", sentence(f"unusual: {words}")) for words in profile.unusual)))
    if profile.columns:
        columns = [("Column", ""), ("Nulls", NUMBER), ("Distinct", NUMBER), ("Unseen", NUMBER), ("PSI", NUMBER)]
        rows = [_column_row(column) for column in profile.columns]
        if any(column.breaches or column.unusual for column in profile.columns):
            columns.append(("Out of bounds", WORDS))
        parts.append(table(columns, [row[: len(columns)] for row in rows]))
    note = "Unseen: values that the champion's vocabulary lacks. PSI: shift against the days before."
    yield section("The new day's data", *parts, note=note if profile.columns else "")


def _column_row(column: ColumnProfile) -> list[str]:
    broken = element("span", "; ".join(column.breaches), class_="bad") if column.breaches else ""
    unusual = "; ".join(f"unusual: {words}" for words in column.unusual)
    said = joined([broken, "; " if broken and unusual else "", unusual])
    name = element("strong", column.name, class_="bad") if column.breaches else column.name
    distinct = DASH if column.distinct is None else f"{column.distinct:,}"
    return [name, _share(column.nulls), distinct, _share(column.unseen), _number(column.psi, 3), said]


def _particulars(page: Page) -> Iterator[Markup]:
    """Vocabulary beside timings and versions, where there is room; without a vocabulary those two side by side."""
    below = [*_timings(page), *_versions(page)]
    if page.growth:
        columns = (("Field", ""), ("Ids before", NUMBER), ("Added", NUMBER), ("Growth", NUMBER))
        vocabulary = section("Vocabulary", table(columns, [_growth_row(growth) for growth in page.growth]))
        below = [vocabulary, element("div", *below)] if below else [vocabulary]
    if below:
        yield element("div", *below, class_="columns")


def _timings(page: Page) -> Iterator[Markup]:
    if page.timings:
        longest = max(page.timings.values())
        rows = [[_capital(step), _bar(seconds, longest), _duration(seconds)] for step, seconds in page.timings.items()]
        rows.append(["Together", "", _duration(sum(page.timings.values()))])
        yield section("Time", table((("Step", WORDS), ("", "bars"), ("", NUMBER)), rows))


def _versions(page: Page) -> Iterator[Markup]:
    if page.versions:
        rows = [(_capital(name), version) for name, version in page.versions.items()]
        yield section("Versions", table((("", ""), ("", WORDS)), rows))


def _growth_row(growth: Growth) -> tuple[str, ...]:
    share = f"{growth.added / growth.before:+.2%}" if growth.added and growth.before else DASH
    return growth.field, f"{growth.before:,}", f"{growth.added:+,}" if growth.added else "0", share


def _tile(heading: str, value: str, below: str) -> Markup:
    return element("div", element("dt", heading), element("dd", value), element("dd", below, class_="before"))


def _pill(passed: bool) -> Markup:
    return element("span", "pass" if passed else "fail", class_=f"pill {'good' if passed else 'bad'}")


def _bar(value: float, longest: float) -> Markup:
    share = value / longest if longest > 0 else 0.0
    return element("div", element("div", style=f"width: {share:.1%}"), class_="bar")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    if value is None or value == 0:
        return DASH if value is None else "0%"
    return f"{value:.1%}" if value >= 0.1 else f"{value:.2%}" if value >= 0.01 else f"{value:.3%}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
