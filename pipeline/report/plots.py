"""The curves behind the metrics, several models to a plot: name -> the `Sums` of each, comparable if on the same rows.

Figures are made without pyplot, so nothing global is kept and no screen is needed. matplotlib is imported when the
first one is drawn. Save one with `figure.savefig` or MLflow's `log_figure`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics
from pipeline.runtime.progress import Phase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, "Color Universal Design": told apart with any colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE: dict[str, Any] = {"color": "0.5", "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 1}
LEGEND: dict[str, Any] = {"fontsize": 8.5, "framealpha": 0.9, "edgecolor": "none"}
NO_CLICKS: dict[str, Any] = {"linestyle": "none", "marker": "v", "markerfacecolor": "none", "clip_on": False}
LEAST_PART = 0.005  # of the whole, that is told of where time went
LOW_CTR = 0.1  # below this mean label calibration is drawn on log scales


def plot_roc(curves: Mapping[str, Sums]) -> "Figure":
    """Share of the clicks found against share of the non-clicks let through; the diagonal is guessing."""
    figure, axes = square("ROC", x="False positive rate (% of non-clicks)", y="True positive rate (% of clicks)")
    for name, sums, metrics, color in _styled(curves):
        false_positive_rate, true_positive_rate = sums.roc_curve()
        label = f"{name}: AUC {shown(metrics.auc)}"
        axes.plot(100 * false_positive_rate, 100 * true_positive_rate, color=color, label=label)
    axes.plot([0, 100], [0, 100], **REFERENCE, label="guessing: AUC 0.5")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(loc="lower right", **LEGEND)
    return figure


def plot_precision_recall(curves: Mapping[str, Sums]) -> "Figure":
    """Precision against recall, and the base rate, which is the precision of guessing."""
    x, y = "Recall (% of clicks found)", "Precision (% clicks among the rows chosen)"
    figure, axes = square("Precision and recall", x, y)
    highest, base_rates = 0.0, set[float | None]()
    for name, sums, metrics, color in _styled(curves):
        recall, precision = sums.precision_recall_curve()
        label = f"{name}: AP {shown(metrics.pr_auc)}"
        axes.plot(100 * recall, 100 * precision, color=color, drawstyle="steps-pre", label=label)
        # The few rows that score highest have any precision from 0 to 1; they are drawn, but set no scale.
        highest = max(highest, float(precision[recall >= 0.01].max(initial=0.0)))
        base_rates.add(metrics.base_rate)
    for base_rate in sorted(rate for rate in base_rates if rate is not None):
        axes.axhline(100 * base_rate, **REFERENCE, label=f"base rate: {100 * base_rate:.3g}%")
    axes.set(xlim=(0, 100), ylim=(0, min(100.0, 125 * highest) or 100.0))
    axes.legend(loc="upper right", **LEGEND)
    return figure


def plot_calibration(curves: Mapping[str, Sums]) -> "Figure":
    """Clicks that came against clicks that p promised, in bins of equal rows; above the diagonal p is too low.

    On log scales where CTRs are low. They have no 0, so a bin without clicks is a hollow triangle on the lower edge.
    """
    figure, axes = square("Calibration, 20 bins of equal rows", x="Mean p (%)", y="Observed click-through rate (%)")
    low, high = _range_of_rates(curves.values())
    all_clicked = True
    for name, sums, metrics, color in _styled(curves):
        mean_p, mean_label, _ = sums.calibration_curve(num_bins=20)
        clicked = mean_label > 0 if low > 0 else np.full(len(mean_label), True)
        all_clicked &= bool(clicked.all())
        label = f"{name}: calibration {shown(metrics.calibration, '.3f')}, ECE {shown(metrics.ece, '.2g')}"
        axes.plot(100 * mean_p[clicked], 100 * mean_label[clicked], "o-", markersize=4, color=color, label=label)
        axes.plot(100 * mean_p[~clicked], np.full(sum(~clicked), low), color=color, **NO_CLICKS)
    axes.plot([low, high], [low, high], **REFERENCE, label="perfect")
    if not all_clicked:
        axes.plot([], [], color="0.5", **NO_CLICKS, label="bin without clicks")
    if low > 0:
        _use_log_scales(axes)
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.legend(loc="upper left", **LEGEND)
    return figure


def plot_ne_by_seconds(curves: Mapping[str, Sequence[tuple[float, float]]], is_alone: bool = False) -> "Figure":
    """Name -> (seconds, NE) as training went; low and wide where it stands `is_alone` in its row.

    What a stage's first looks find may be far above all else: they set no scale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4) if is_alone else (6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    for (name, curve), color in zip(curves.items(), cycle(COLORS), strict=False):
        seconds, nes = zip(*curve, strict=True)
        axes.plot(seconds, nes, "o-", markersize=3, linewidth=1.5, color=color, label=f"{name}: {nes[-1]:.4f}")
    low = min(ne for curve in curves.values() for _, ne in curve)
    high = max(ne for curve in curves.values() for _, ne in curve[len(curve) // 4 :])
    margin = 0.05 * (high - low) or 0.01
    axes.set(xlim=(0, None), ylim=(low - margin, high + margin))
    axes.set_xlabel("Seconds of steps, those of the stages that it comes from among them")
    axes.set_ylabel("NE (1: predicting the mean)")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right", **LEGEND)
    return figure


def plot_waterfall(phases: Sequence[Phase], title: str = "") -> "Figure":
    """Each phase as a bar from when to when, the first at the top, its parts paler below it, with its rows a second.

    Parts of less than LEAST_PART of the whole are left out.
    """
    from matplotlib.figure import Figure

    whole = max((phase.ended for phase in phases), default=1.0)
    drawn = [phase for phase in phases if phase.depth == 0 or phase.seconds >= LEAST_PART * whole]
    figure = Figure(figsize=(10, 0.9 + 0.26 * len(drawn)), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for y, phase in enumerate(drawn):
        axes.barh(y, phase.seconds, left=phase.began, height=0.62, color=COLORS[0], alpha=0.5 if phase.depth else 1.0)
        rate = phase.rows_per_second
        told = f" {phase.seconds:.1f} s" + (f", {rate:,.0f} rows/s" if rate else "")
        is_late = phase.ended > 0.7 * whole  # where there is no room to the right of it
        x, side = (phase.began, "right") if is_late else (phase.ended, "left")
        axes.text(x, y, f"{told} ", va="center", ha=side, fontsize=8.5)
    names = ["      " * phase.depth + phase.name for phase in drawn]
    axes.set_yticks(range(len(drawn)), names, ha="left")
    axes.tick_params(axis="y", length=0, pad=130)
    axes.set(xlim=(0, whole), ylim=(len(drawn) - 0.4, -0.6))
    axes.set_xlabel("Seconds since the command began")
    figure.suptitle(title, x=0.005, ha="left", fontsize=9.5)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure


def _range_of_rates(sums_of_models: Iterable[Sums]) -> tuple[float, float]:
    """Ends of both axes of the calibration plot, in %: from 0 for linear scales, from above it for log scales."""
    rates, base_rates = [np.empty(0)], [0.0]
    for sums in sums_of_models:
        rates += sums.calibration_curve(num_bins=20)[:2]
        base_rates.append(sums.metrics().base_rate or 0.0)
    above_zero = 100 * np.concatenate(rates)
    above_zero = above_zero[above_zero > 0]
    if not len(above_zero):
        return 0.0, 100.0
    low = float(above_zero.min()) / 1.5 if max(base_rates) < LOW_CTR else 0.0
    return low, min(1.5 * float(above_zero.max()), 100.0)


def _styled(curves: Mapping[str, Sums]) -> Iterator[tuple[str, Sums, Metrics, str]]:
    for (name, sums), color in zip(curves.items(), cycle(COLORS), strict=False):
        yield name, sums, sums.metrics(), color


def shown(value: float | None, digits: str = ".4f") -> str:
    return "undefined" if value is None else format(value, digits)


def square(title: str, x: str, y: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=200, layout="constrained")
    axes = figure.add_subplot(box_aspect=1)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.92", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _use_log_scales(axes: "Axes") -> None:
    """Ticks at 1, 2 and 5 times the powers of ten, as plain numbers: a CTR is seldom spread over two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda percent, _: f"{percent:g}"))
        axis.set_minor_locator(NullLocator())
