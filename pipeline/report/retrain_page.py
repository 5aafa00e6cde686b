"""A retrain's page: what was trained on what, the stages side by side, and what became of the best of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.evaluation.gate import Evidence, Verdict
from pipeline.evaluation.intervals import CONFIDENCE, few_clicks
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics
from pipeline.evaluation.worth import Worth
from pipeline.report import charts, plots, sections
from pipeline.report.markup import Markup, document, element, joined, section, table
from pipeline.report.page import sentence
from pipeline.report.sections import DASH, INTERVAL, NUMBER, WORDS, number, share, tile
from pipeline.report.worth import worth_section
from pipeline.runtime.progress import Phase

STAGE, NE, NE_BOUNDS, AUC, AUC_BOUNDS, LOSS = "stage", "ne", "ne bounds", "auc", "auc bounds", "loss"
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
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of an interval of "ne" and of "auc"
    validation_ne: float | None = None
    curve: Sequence[tuple[float, float]] = ()  # (seconds, those of the stages before it among them; NE of a sample)
    control_of: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a stage's figures are held against: a prediction that no stage has made."""

    name: str
    ne: float | None = None
    auc: float | None = None
    log_loss: float | None = None
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
    clicks: int
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
    sums: Mapping[str, Sums] = field(default_factory=dict)  # stage -> those of the held-out rows
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
    rows += [
        {STAGE: one.name, NE: number(one.ne, 4), AUC: number(one.auc, 4), LOSS: number(one.log_loss, 5)}
        | _intervals(one.bounds)
        for one in page.references
    ]
    interval = f"{100 * CONFIDENCE:g}% interval"
    columns = {STAGE: ("Stage", WORDS), NE: ("NE", NUMBER), NE_BOUNDS: (interval, INTERVAL), AUC: ("AUC", NUMBER)}
    columns |= {AUC_BOUNDS: (interval, INTERVAL), LOSS: ("Log loss", NUMBER), "p": ("Calibration", NUMBER)}
    columns |= {"validation": ("Validation NE", NUMBER)}
    shown = {key: column for key, column in columns.items() if any(key in row for row in rows)}
    cells = [[row.get(key, DASH) for key in shown] for row in rows]
    note = f"On the same {judged[0].rows:,} held-out rows, {judged[0].positives:,.0f} of them clicks."
    best = next((stage.bounds for stage in page.stages if stage.name == page.best), {})
    few = few_clicks(judged[0].positives, best)
    note += f" {sentence(few)}" if few else ""
    yield section("The stages", table(list(shown.values()), cells), note=note)


def _figures_of(stage: Stage, *, is_best: bool) -> dict[str, str]:
    found: dict[str, str] = {STAGE: _named(stage, is_best=is_best)}
    if stage.metrics:
        found |= {NE: number(stage.metrics.ne, 4), AUC: number(stage.metrics.auc, 4)}
        found |= {LOSS: number(stage.metrics.log_loss, 5), "p": number(stage.metrics.calibration, 3)}
    found |= _intervals(stage.bounds)
    return found if stage.validation_ne is None else {**found, "validation": number(stage.validation_ne, 4)}


def _intervals(bounds: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    keys = {"ne": NE_BOUNDS, "auc": AUC_BOUNDS}
    return {keys[name]: f"{low:.4f} to {high:.4f}" for name, (low, high) in bounds.items() if name in keys}


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
    drawn = []
    sums = dict(list(page.sums.items())[:MOST_DRAWN])
    if sums:
        label = "Observed click-through rate against mean p, " + " and ".join(sums)
        figure = charts.inline(plots.plot_calibration(sums), label)
        drawn.append(section("Calibration, in 20 bins of equal rows", figure, class_="square"))
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
        rate = f"{share(split.clicks / split.rows)} clicks" if split.rows else ""
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
