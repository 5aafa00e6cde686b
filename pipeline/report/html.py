"""The morning's page: one HTML file that says what the night decided, and shows on what grounds."""

from collections.abc import Iterator

from pipeline.report import charts, outcomes, sections
from pipeline.report.markup import Markup, document, element, joined, section, table
from pipeline.report.page import ColumnProfile, DataProfile, Growth, Night, Page, lead, sentence, two_sentences
from pipeline.report.sections import DASH, NUMBER, WORDS, number, share, tile
from pipeline.report.worth import worth_section

__all__ = ["Page", "Night", "DataProfile", "ColumnProfile", "Growth", "render", "two_sentences"]


def render(page: Page) -> str:
    """The page as one HTML file without a script; the same page gives the same bytes."""
    body = [_header(page)]
    body += [*sections.gate(page.verdict), *sections.comparison(page.evidence, page.confidence)]
    body += [*_plots(page), *sections.slices(page.evidence, page.confidence)]
    body += [*worth_section(page.worth, page.worth_before, page.worth_of), *_data(page), *_particulars(page)]
    return document(f"{page.model}, {page.date}: {page.became}", *body)


def _header(page: Page) -> Markup:
    word, _, rest = lead(page).partition(": ")
    why = [element("p", sentence(page.reason))] if page.reason else []
    notes = [element("p", note) for note in page.notes]
    where = element("p", f"Nightjar · {page.model} · {page.date}", class_="where")
    what = element("p", sentence(rest), class_="lead")
    return element("header", where, element("h1", word), what, *why, *notes, class_=page.outcome)


def _plots(page: Page) -> Iterator[Markup]:
    plots = [*outcomes.drawn(page.curves, next(iter(page.curves), ""), page.classes)]
    nights = [(night.date, night.ne, night.was_promoted) for night in page.nights if night.ne is not None]
    if nights:
        days, nes, was_promoted = zip(*nights, strict=True)
        label = f"NE of each night's champion, from {days[0]} to {days[-1]}; the last is {nes[-1]:.4f}"
        plot = charts.plot_ne_by_day(days, nes, was_promoted, is_alone=not plots)
        plots.append(section("NE of each night's champion on the day that was new", charts.inline(plot, label)))
    if plots:
        yield element("div", *plots, class_="columns plots")


def _data(page: Page) -> Iterator[Markup]:
    profile = page.profile
    if profile is None:
        return
    unit = "a day" if profile.num_days == 1 else f"in {profile.num_days} days"
    before = "" if profile.trailing_rows is None else f"{profile.trailing_rows:,.0f} {unit} before"
    rate_before = "" if profile.trailing_label_rate is None else f"{share(profile.trailing_label_rate)} before"
    bad_share = f"{share(profile.bad_rows / profile.rows)} of the rows" if profile.rows else ""
    tiles = [
        tile("Rows", f"{profile.rows:,}", before),
        *([] if profile.label_rate is None else [tile("Label rate", share(profile.label_rate), rate_before)]),
        tile("Bad rows", f"{profile.bad_rows:,}", bad_share),
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
    yield section(
        "The new day's data" if profile.num_days == 1 else f"The data of the {profile.num_days} new days",
        *parts,
        note=note if profile.columns else "",
    )


def _column_row(column: ColumnProfile) -> list[str]:
    broken = element("span", "; ".join(column.breaches), class_="bad") if column.breaches else ""
    unusual = "; ".join(f"unusual: {words}" for words in column.unusual)
    said = joined([broken, "; " if broken and unusual else "", unusual])
    name = element("strong", column.name, class_="bad") if column.breaches else column.name
    distinct = DASH if column.distinct is None else f"{column.distinct:,}"
    return [name, share(column.nulls), distinct, share(column.unseen), number(column.psi, 3), said]


def _particulars(page: Page) -> Iterator[Markup]:
    """Where the time went; below, the vocabulary beside what served and the versions, where there is room."""
    yield from sections.waterfall(page.phases)
    below = [*_history(page), *sections.versions(page.versions)]
    if page.growth:
        columns = (("Field", ""), ("Ids before", NUMBER), ("Added", NUMBER), ("Growth", NUMBER))
        vocabulary = section("Vocabulary", table(columns, [_growth_row(growth) for growth in page.growth]))
        below = [vocabulary, element("div", *below)] if below else [vocabulary]
    if below:
        yield element("div", *below, class_="columns")


def _history(page: Page) -> Iterator[Markup]:
    if page.history:
        columns = (("Night", ""), ("Verdict", WORDS), ("Served", ""))
        yield section("What served", table(columns, page.history))


def _growth_row(growth: Growth) -> tuple[str, ...]:
    grown = f"{growth.added / growth.before:+.2%}" if growth.added and growth.before else DASH
    return growth.field, f"{growth.before:,}", f"{growth.added:+,}" if growth.added else "0", grown
