"""What each field is worth, drawn: bars as long as NE rises without it."""

from typing import TYPE_CHECKING

from pipeline.evaluation.worth import Worth
from pipeline.report.plots import COLORS, LEGEND

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_worth(worth: Worth) -> "Figure":
    """A bar a field, that of most worth on top; a whisker from the lowest of its shuffles to the highest."""
    from matplotlib.figure import Figure

    fields = worth.by_rise
    figure = Figure(figsize=(7, 0.9 + 0.26 * len(fields)), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    rises = [one.rise for one in fields]
    whiskers = [[one.rise - one.bounds[0] for one in fields], [one.bounds[1] - one.rise for one in fields]]
    axes.barh(range(len(fields)), rises, height=0.62, color=COLORS[0], xerr=whiskers, error_kw={"ecolor": "0.5"})
    axes.plot([one.missing for one in fields], range(len(fields)), "o", color=COLORS[1], markersize=4, label="missing")
    axes.set_yticks(range(len(fields)), [one.name for one in fields])
    axes.set_ylim(len(fields) - 0.4, -0.6)
    axes.set_xlabel(f"Rise of NE on {worth.rows:,} held-out rows where the field is shuffled")
    axes.axvline(0, color="0.5", linewidth=1)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", **LEGEND)
    return figure
