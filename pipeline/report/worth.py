"""What each field is worth, as bars as long as NE rises without it: a figure, and a section of a page."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.evaluation.worth import FieldWorth, Worth
from pipeline.report import charts
from pipeline.report.markup import Markup, section, table
from pipeline.report.plots import COLORS, LEGEND
from pipeline.report.sections import DASH, INTERVAL, NUMBER, WIDE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BARS = 100  # in a figure, which would else be taller than can be drawn; a page's table has all fields


def plot_worth(worth: Worth) -> "Figure":
    """A bar a field, that of most worth on top; a whisker from the lowest of its shuffles to the highest."""
    from matplotlib.figure import Figure

    fields = worth.by_rise[:MOST_BARS]
    figure = Figure(figsize=(7, 0.9 + 0.26 * len(fields)), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    rises = [one.rise for one in fields]
    whiskers = [[one.rise - one.bounds[0] for one in fields], [one.bounds[1] - one.rise for one in fields]]
    axes.barh(range(len(fields)), rises, height=0.62, color=COLORS[0], xerr=whiskers, error_kw={"ecolor": "0.5"})
    axes.plot([one.missing for one in fields], range(len(fields)), "o", color=COLORS[1], markersize=4, label="missing")
    axes.set_yticks(range(len(fields)), [one.name for one in fields], parse_math=False)  # a name may hold a $
    axes.set_ylim(len(fields) - 0.4, -0.6)
    axes.set_xlabel(f"Rise of NE on {worth.rows:,} held-out rows where the field is shuffled")
    axes.axvline(0, color="0.5", linewidth=1)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", **LEGEND)
    return figure


def worth_section(worth: Worth | None, before: Mapping[str, float] | None = None, of: str = "") -> Iterator[Markup]:
    """A row a field, with its change since what it was worth `before`, on the night `of`, where that is known."""
    if worth is None:
        return
    most = max(one.rise for one in worth.fields)
    shuffles = len(worth.fields[0].shuffles)

    def row(one: FieldWorth) -> list[str]:
        bar = charts.span(0.0, one.rise, most) if one.rise > 0 else ""
        low, high = one.bounds
        cells = [one.name, bar, f"{one.rise:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{one.missing:+.4f}"]
        if before:
            cells.append(f"{one.rise - before[one.name]:+.4f}" if one.name in before else DASH)
        return cells

    columns = [("Field", ""), ("", "bars"), ("Shuffled", NUMBER), (f"Of {shuffles} shuffles", f"{INTERVAL} wide")]
    columns += [("Missing", NUMBER)] + ([(f"Against {of}", WIDE)] if before else [])
    note = (
        f"How much NE rises on {worth.rows:,} held-out rows where a field's values are shuffled among them, or missing."
    )
    yield section("What each field is worth", table(columns, [row(one) for one in worth.by_rise]), note=note)
