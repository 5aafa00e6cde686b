"""What models make of the held-out rows, drawn as the objective has it: how well p, a class or a number was told."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, TypeVar

from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.number_sums import NumberSums
from pipeline.evaluation.row_sums import RowSums
from pipeline.report import charts, plots
from pipeline.report.markup import Markup, section
from pipeline.report.plots import COLORS, LEGEND, REFERENCE, shown, square

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COUNTED = 12  # classes between which the share of each cell is written; of more the shade tells it
LEAST_SHADE = 0.005  # a share that rounds to 0 %
LONGEST_NAME = 24
Kind = TypeVar("Kind", bound=RowSums)


def figures(sums: Mapping[str, RowSums], best: str, classes: Sequence[str]) -> "dict[str, Figure]":
    """Name of a figure -> it. `sums` are the models' on the same rows, of which one is `best`."""
    found: dict[str, Figure] = {}
    if clicks := _of(Sums, sums):
        found["roc"] = plots.plot_roc(clicks)
        found["calibration"] = plots.plot_calibration(clicks)
        found["precision_recall"] = plots.plot_precision_recall(clicks)
    if numbers := _of(NumberSums, sums):
        found["told"] = plot_told(numbers)
    confused = _of(ClassSums, sums).get(best)
    if confused and confused.confusion.size:
        found["confusion"] = plot_confusion(confused, classes)
    return found


def drawn(sums: Mapping[str, RowSums], best: str, classes: Sequence[str]) -> Iterator[Markup]:
    """A page's section of the one figure that tells most; none of more classes than are confused in a table."""
    models = " and ".join(sums)
    if clicks := _of(Sums, sums):
        label = f"Observed click-through rate against mean p, {models}"
        drawing = charts.inline(plots.plot_calibration(clicks), label)
        yield section("Calibration, in 20 bins of equal rows", drawing, class_="square")
    if numbers := _of(NumberSums, sums):
        drawing = charts.inline(plot_told(numbers), f"Mean label against mean number told, {models}")
        yield section("Told and actual numbers, in 20 bins of equal rows", drawing, class_="square")
    confused = _of(ClassSums, sums).get(best)
    if confused and confused.confusion.size:
        drawing = charts.inline(
            plot_confusion(confused, classes), f"Of the rows of each class, the share told to be of each, {best}"
        )
        yield section(f"Which class was taken for which, {best}", drawing, class_="square")


def plot_told(curves: Mapping[str, NumberSums]) -> "Figure":
    """Labels as they were against the numbers told, in bins of equal rows; above the diagonal these are too low."""
    figure, axes = square("Told and actual numbers, 20 bins of equal rows", x="Mean number told", y="Mean label")
    ends: list[float] = []
    for (name, sums), color in zip(curves.items(), cycle(COLORS), strict=False):
        told, labels = sums.curve(num_bins=20)
        label = f"{name}: RMSE {shown(sums.metrics().rmse, '.4g')}"
        axes.plot(told, labels, "o-", markersize=4, color=color, label=label)
        ends += [*told, *labels]
    if ends:
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], **REFERENCE, label="perfect")
    axes.legend(loc="upper left", **LEGEND)
    return figure


def plot_confusion(sums: ClassSums, classes: Sequence[str]) -> "Figure":
    """Of the rows of each class, from the top down, the share that was told to be of each, the darker the larger."""
    figure, axes = square("Confusion", x="Class told", y="Class")
    for y, (counts, rows) in enumerate(zip(sums.confusion, sums.mass, strict=True)):
        for x, count in enumerate(counts):
            share = float(count / rows) if rows else 0.0
            if share < LEAST_SHADE:
                continue
            axes.fill([x, x + 1, x + 1, x], [y, y, y + 1, y + 1], color=COLORS[0], alpha=share, linewidth=0)
            if len(classes) <= MOST_COUNTED:
                axes.text(x + 0.5, y + 0.5, f"{100 * share:.0f}", ha="center", va="center", fontsize=8.5)
    places = [place + 0.5 for place in range(len(classes))]
    names = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..." for name in classes]
    counted = [f"{name} ({rows:,.0f})" for name, rows in zip(names, sums.mass, strict=True)]
    axes.set_xticks(places, names, rotation=90, parse_math=False)  # a name may hold a $
    axes.set_yticks(places, counted, parse_math=False)
    axes.grid(visible=False)
    axes.set(xlim=(0, len(classes)), ylim=(len(classes), 0))
    return figure


def _of(kind: type[Kind], sums: Mapping[str, RowSums]) -> dict[str, Kind]:
    return {name: one for name, one in sums.items() if isinstance(one, kind)}
