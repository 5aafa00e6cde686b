"""Drawings for the morning's page, as inline SVG in the page's own colours, so that they are light or dark with it."""

import io
import math
import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from pipeline.evaluation.bootstrap import Interval
from pipeline.report.markup import Markup, element
from pipeline.report.plots import COLORS, LEGEND, REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What `plots` draws with -> the variables of `markup.STYLE`.
PAGE_COLORS = {
    "#000000": "var(--ink)",
    "#808080": "var(--faint)",
    "#ebebeb": "var(--line)",
    "#ffffff": "var(--card)",
    COLORS[0].lower(): "var(--first)",
    COLORS[1].lower(): "var(--second)",
}
MAX_DATES = 7  # on the axis
WHISKER_WIDTH, WHISKER_HEIGHT = 170.0, 18.0
SPAN_WIDTH, SPAN_HEIGHT = 1000.0, 10.0
LEAST_SPAN = 3.0  # of its width: what is shorter is drawn as long


def inline(figure: "Figure", label: str) -> Markup:
    """The figure as `<figure><svg>`, as wide as its place; `label` is what a screen reader says.

    Titles of its axes are taken away: the section around it has one.
    """
    import matplotlib

    for axes in figure.axes:
        axes.set_title("", loc="left")
    buffer = io.StringIO()
    # Text stays text, and the same figure gives the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nightjar"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # The style would hold for the whole page, and so would ids that two figures share; those that are referred to
    # are hashes of what they name.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|(?<=<g) id=\"[^\"]*\"", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg[^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', svg)
    svg = re.sub('#[0-9a-f]{6}(?=[;"])', lambda found: PAGE_COLORS.get(found[0], found[0]), svg)
    return element("figure", Markup(svg), role="img", aria_label=label)


def plot_ne_by_day(
    days: Sequence[date], nes: Sequence[float], was_promoted: Sequence[bool], is_alone: bool = False
) -> "Figure":
    """NE of each night's champion on the day that was new then; filled where the night ended with another champion.

    Low and wide where it stands `is_alone` in its row.
    The line of predicting the mean, NE 1, stands where the nights come near it: elsewhere it would press them flat.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4) if is_alone else (6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    x = [day.toordinal() for day in days]
    axes.plot(x, nes, color=COLORS[0], linewidth=1.5)
    for promoted, face, label in ((False, "#ffffff", "kept"), (True, COLORS[0], "moved that night")):
        points = [(day, ne) for day, ne, was in zip(x, nes, was_promoted, strict=True) if was is promoted]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=COLORS[0], markerfacecolor=face, label=f"champion {label}")
    if 2 * max(nes) - min(nes) >= 1.0:
        axes.axhline(1.0, **REFERENCE, label="predicting the mean: NE 1")
    labelled = days[:: -max(1, math.ceil(len(days) / MAX_DATES))]  # from the newest back
    axes.set_xticks([day.toordinal() for day in labelled], [f"{day.day} {day:%b}" for day in labelled])
    axes.set_xlim(min(x) - 1, max(x) + 1)
    axes.set_xlabel(" to ".join(dict.fromkeys(str(day.year) for day in (min(days), max(days)))))
    axes.set_ylabel("NE (1: predicting the mean)")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.legend(loc="best", **LEGEND)
    return figure


def whisker(change: Interval, reach: float) -> Markup:
    """The interval as a line with its estimate as a dot, between -`reach` and `reach`; the upright line is 0."""

    def x(value: float) -> str:
        share = 0.5 + 0.5 * max(-1.0, min(1.0, value / reach if reach > 0 else 0.0))
        return f"{5 + share * (WHISKER_WIDTH - 10):.1f}"

    color = "good" if change.high < 0 else "bad" if change.low > 0 else "faint"
    middle = f"{WHISKER_HEIGHT / 2:g}"
    zero = element("line", x1=x(0), x2=x(0), y1="0", y2=f"{WHISKER_HEIGHT:g}", stroke="var(--faint)", stroke_width="1")
    stroke = f"var(--{color})"
    span = element("line", x1=x(change.low), x2=x(change.high), y1=middle, y2=middle, stroke=stroke, stroke_width="2")
    dot = element("circle", cx=x(change.estimate), cy=middle, r="3.5", fill=stroke)
    box = f"0 0 {WHISKER_WIDTH:g} {WHISKER_HEIGHT:g}"
    return element("svg", zero, span, dot, class_="whisker", viewBox=box, aria_hidden="true")


def span(began: float, ended: float, whole: float, *, is_part: bool = False) -> Markup:
    """From when to when of a whole, as a bar on a track that is as wide as its place; a part's is paler."""
    scale = SPAN_WIDTH / whole if whole > 0 else 0.0
    width = min(SPAN_WIDTH, max(LEAST_SPAN, (ended - began) * scale))
    x = min(began * scale, SPAN_WIDTH - width)
    height = f"{SPAN_HEIGHT:g}"
    track = element("rect", width=f"{SPAN_WIDTH:g}", height=height, fill="var(--track)")
    opacity = "0.55" if is_part else "1"
    bar = element("rect", x=f"{x:.1f}", width=f"{width:.1f}", height=height, fill="var(--first)", opacity=opacity)
    box = f"0 0 {SPAN_WIDTH:g} {SPAN_HEIGHT:g}"
    return element("svg", track, bar, class_="span", viewBox=box, preserveAspectRatio="none", aria_hidden="true")
