"""A retrain's page: what was trained on what, the stages side by side, and what became of the best of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.intervals import CONFIDENCE, few_clicks
from pipeline.evaluation.row_sums import Metrics, RowSums
from pipeline.evaluation.verdict import Verdict
from pipeline.evaluation.worth import Worth
from pipeline.report import charts, outcomes, plots, sections
from pipeline.report.markup import Markup, document, element, joined, section, table
from pipeline.report.page import sentence
from pipeline.report.sections import DASH, INTERVAL, NUMBER, WORDS, number, share, tile
from pipeline.report.worth import worth_section
from pipeline.runtime.progress import Phase

# Of a stage's metrics: heading and form. The intervals stand beside those that have one.
FIGURES = {
    "ne": ("NE", ".4f"),
    "auc": ("AUC", ".4f"),
    "log_loss": ("Log loss", ".5f"),
    "calibration": ("Calibration", ".3f"),
    "accuracy": ("Accuracy", ".4f"),
    "macro_f1": ("Macro F1", ".4f"),
    "rmse": ("RMSE", ".5g"),
    "mae": ("MAE", ".5g"),
}
WITH_BOUNDS = ("ne", "auc", "accuracy", "rmse")
STAGE, VALIDATION, BOUNDS = "stage", "validation", " bounds"
MOST_DRAWN = len(plots.COLORS)  # more stages than that would share colours


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the plan; without `metrics` it could not be trained, and `failure` says why."""

    name: str
    model: str
    start: str  # what it starts from
    days: str
    batch_size: int
    rows: int | None = None  # of the log, that one pass goes over
    rows_seen: float = 0.0
    computed_by: str = ""
    metrics: Metrics | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # metric -> its interval
    validation_ne: float | None = None
    curve: Sequence[tuple[float, float]] = ()  # (seconds, those of the stages before it among them; NE of a sample)
    control_of: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a stage's figures are held against: a prediction that no stage has made."""

    name: str
    figures: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldIds:
    """A column that models read, and the ids that its values have."""

    name: str
    kind: str
    encoder: str
    num_ids: int


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a split and their days, in words."""

    name: str
    rows: int
    clicks: int | None  # None: of another objective
    days: str = ""


@dataclass(frozen=True, slots=True)
class RetrainPage:
    """One retrain. What is empty is left out of the page; every string is text, never HTML."""

    model: str  # registered name
    date: str  # the held-out day or days
    outcome: Literal["promoted", "kept", "trained"]  # trained: nothing was registered
    best: str  # its stage
    lead: str
    became: str = ""  # the outcome as people read it, where it has other words
    reason: str = ""
    notes: tuple[str, ...] = ()  # whole sentences
    stages: tuple[Stage, ...] = ()
    references: tuple[Reference, ...] = ()
    splits: tuple[Rows, ...] = ()
    where: str = ""  # it was trained
    lifts: tuple[str, ...] = ()
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    confidence: float = 0.95
    sums: Mapping[str, RowSums] = field(default_factory=dict)  # stage -> those of the held-out rows
    classes: tuple[str, ...] = ()  # of the label, where it has some
    worth: Worth | None = None  # of the fields to the best stage
    fields: tuple[FieldIds, ...] = ()
    phases: tuple[Phase, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def render(page: RetrainPage) -> str:
    """The page as one HTML file without a script; the same page gives the same bytes."""
    body = [_header(page), *_failures(page), *_figures(page), *_lifts(page), *_trained(page), *_plots(page)]
    body += sections.gate(page.verdict)
    if page.evidence and page.evidence.champion:  # else the stages' table has it all
        body += sections.comparison(page.evidence, page.confidence)
    body += [*sections.slices(page.evidence, page.confidence), *worth_section(page.worth), *_particulars(page)]
    return document(f"{page.model}, retrain held out on {page.date}: {page.became or page.outcome}", *body)


def _header(page: RetrainPage) -> Markup:
    where = element("p", f"Nightjar · {page.model} · retrain, held out on {page.date}", class_="where")
    said = [element("p", sentence(page.lead), class_="lead")]
    said += [element("p", sentence(page.reason))] if page.reason else []
    said += [element("p", words) for words in page.notes]
    return element(
        "header", where, element("h1", (page.became or page.outcome).capitalize()), *said, class_=page.outcome
    )


def _failures(page: RetrainPage) -> Iterator[Markup]:
    failed = [stage for stage in page.stages if stage.failure]
    if failed:
        items = [element("li", element("strong", stage.name), f": {stage.failure}") for stage in failed]
        yield section("What could not be trained", element("ul", *items, class_="bad"))


def _figures(page: RetrainPage) -> Iterator[Markup]:
    judged = [stage.metrics for stage in page.stages if stage.metrics]
    if not judged:
        return
    rows = [_figures_of(stage, is_best=stage.name == page.best) for stage in page.stages]
    rows += [{STAGE: one.name, **_cells(one.figures, one.bounds)} for one in page.references]
    columns = {STAGE: ("Stage", WORDS)}
    for name, (heading, _) in FIGURES.items():
        columns |= {name: (heading, NUMBER), f"{name}{BOUNDS}": (f"{100 * CONFIDENCE:g}% interval", INTERVAL)}
    columns |= {VALIDATION: ("Validation NE", NUMBER)}
    shown = {key: column for key, column in columns.items() if any(key in row for row in rows)}
    cells = [[row.get(key, DASH) for key in shown] for row in rows]
    note = f"On the same {sections.rows_in_words(judged[0])}."
    best = next((stage.bounds for stage in page.stages if stage.name == page.best), {})
    few = few_clicks(judged[0].positives, best)
    note += f" {sentence(few)}" if few else ""
    yield section("The stages", table(list(shown.values()), cells), note=note)


def _figures_of(stage: Stage, *, is_best: bool) -> dict[str, str]:
    found: dict[str, str] = {STAGE: _named(stage, is_best=is_best)}
    if stage.metrics:
        found |= _cells(stage.metrics.as_dict(), stage.bounds)
    return found if stage.validation_ne is None else {**found, VALIDATION: number(stage.validation_ne, 4)}


def _cells(figures: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    found = {name: format(figures[name], form) for name, (_, form) in FIGURES.items() if name in figures}
    for name in WITH_BOUNDS:
        if name in bounds:
            low, high = (format(bound, FIGURES[name][1]) for bound in bounds[name])
            found[f"{name}{BOUNDS}"] = f"{low} to {high}"
    return found


def _named(stage: Stage, *, is_best: bool) -> Markup:
    said = " · best" if is_best else " · failed" if stage.failure else ""
    control = f" · control of {stage.control_of}" if stage.control_of else ""
    class_ = "good" if is_best else "bad" if stage.failure else "faint"
    name = element("strong", stage.name) if is_best else stage.name
    return joined([name, element("span", f"{control}{said}", class_=class_)])


def _lifts(page: RetrainPage) -> Iterator[Markup]:
    if page.lifts:
        note = "A control is the same net from random rows, on as many of the newest days as the same seconds buy."
        items = [element("li", f"{words}.") for words in page.lifts]
        yield section("What pretraining bought", element("ul", *items), note=note)


def _plots(page: RetrainPage) -> Iterator[Markup]:
    drawn = [*outcomes.drawn(dict(list(page.sums.items())[:MOST_DRAWN]), page.best, page.classes)]
    curves = {stage.name: stage.curve for stage in page.stages if stage.curve}
    if curves:
        label = "NE on a sample of the held-out rows as training went, of " + " and ".join(curves)
        figure = charts.inline(plots.plot_ne_by_seconds(curves, is_alone=not drawn), label)
        drawn.append(section("NE on a sample of the held-out rows, as training went", figure))
    if drawn:
        yield element("div", *drawn, class_="columns plots")


def _trained(page: RetrainPage) -> Iterator[Markup]:
    tiles = []
    for split in page.splits:
        rate = f"{share(split.clicks / split.rows)} clicks" if split.rows and split.clicks is not None else ""
        tiles.append(tile(split.name, f"{split.rows:,}", "; ".join(filter(None, [split.days, rate]))))
    if page.fields:
        num_ids = sum(one.num_ids for one in page.fields)
        tiles.append(tile("Ids", f"{num_ids:,}", f"of {len(page.fields)} fields"))
    columns = [("Stage", ""), ("Model", ""), ("Starts from", WORDS), ("Days", WORDS), ("Rows", NUMBER)]
    columns += [("Passes", NUMBER), ("Batch", NUMBER), ("Computed by", WORDS)]
    rows = []
    for stage in page.stages:
        passes = f"{stage.rows_seen / stage.rows:.3g}" if stage.rows and stage.rows_seen else DASH
        rows.append([stage.name, stage.model, stage.start, stage.days])
        rows[-1] += [DASH if stage.rows is None else f"{stage.rows:,}", passes, f"{stage.batch_size:,}"]
        rows[-1].append(stage.computed_by or DASH)
    parts = [*([element("dl", *tiles, class_="tiles")] if tiles else []), *([table(columns, rows)] if rows else [])]
    if parts:
        yield section("What was trained on what", *parts, note=page.where)


def _particulars(page: RetrainPage) -> Iterator[Markup]:
    """Where the time went; below, the fields beside the versions."""
    yield from sections.waterfall(page.phases)
    below = [*sections.versions(page.versions)]
    beside = []
    if page.fields:
        columns = (("Field", WORDS), ("Kind", ""), ("Encoder", WORDS), ("Ids", NUMBER))
        rows = [(one.name, one.kind, one.encoder, f"{one.num_ids:,}") for one in page.fields]
        beside.append(section("The fields", table(columns, rows)))
    if beside or below:
        yield element("div", *beside, element("div", *below), class_="columns")
