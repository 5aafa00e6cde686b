import re
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.metrics import Sums
from pipeline.report.charts import inline, plot_ne_by_day, span, whisker
from pipeline.report.markup import Markup, element, table
from pipeline.report.plots import plot_calibration

SUMS = Sums.of(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
NEWEST = date(2026, 11, 19).toordinal()


def nights(num_nights: int) -> tuple[list[date], list[float], list[bool]]:
    days = [date.fromordinal(NEWEST - num_nights + 1 + i) for i in range(num_nights)]
    return days, [0.8 + 1e-4 * i for i in range(num_nights)], [i % 3 == 0 for i in range(num_nights)]


def test_each_night_is_a_point_filled_where_the_champion_moved():
    days, nes, moved = nights(7)
    axes = plot_ne_by_day(days, nes, moved).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert axes.lines[0].get_xydata().tolist() == [[day.toordinal(), ne] for day, ne in zip(days, nes, strict=True)]
    assert lines["champion moved that night"].get_ydata().tolist() == [nes[0], nes[3], nes[6]]
    assert lines["champion kept"].get_ydata().tolist() == [nes[1], nes[2], nes[4], nes[5]]


@pytest.mark.parametrize(
    ("nes", "stands"),
    [([0.90, 0.94], False), ([0.90, 0.96], True), ([0.99, 1.01], True), ([0.9], False), ([1.1], True)],
)
def test_the_line_of_the_mean_stands_where_the_nights_come_as_near_as_they_are_apart(nes: list[float], stands: bool):
    days = nights(len(nes))[0]
    axes = plot_ne_by_day(days, nes, [False] * len(nes)).axes[0]
    assert ("predicting the mean: NE 1" in [line.get_label() for line in axes.lines]) is stands


@pytest.mark.parametrize(("num_nights", "years"), [(1, "2026"), (38, "2026"), (365, "2025 to 2026")])
def test_at_most_seven_nights_are_dated_the_newest_among_them(num_nights: int, years: str):
    axes = plot_ne_by_day(*nights(num_nights)).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] == "19 Nov"
    assert len(labels) == min(num_nights, len(set(labels))) <= 7
    assert axes.get_xlabel() == years


def test_a_figure_takes_the_pages_colours_and_has_no_title_of_its_own():
    drawn = inline(plot_calibration({"candidate": SUMS, "champion": SUMS}), "a & b")
    assert drawn.startswith('<figure role="img" aria-label="a &amp; b"><svg viewBox="0 0 360 360">')
    assert not re.search('#[0-9a-f]{6}[;"]', drawn)
    assert {"var(--first)", "var(--second)", "var(--ink)", "var(--line)"} <= set(re.findall(r"var\(--\w+\)", drawn))
    assert "20 bins" not in drawn
    assert "candidate: calibration" in drawn
    ElementTree.fromstring(drawn.replace("xlink:", ""))  # well-formed


def test_what_figures_of_one_page_refer_to_stands_there_with_one_meaning():
    page = inline(plot_calibration({"candidate": SUMS}), "") + inline(plot_ne_by_day(*nights(9)), "")
    meanings: dict[str, set[str]] = {}
    for tag, name in re.findall(r'(<[^>]*? id="([^"]*)"[^>]*>)', page):
        meanings.setdefault(name, set()).add(tag)
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', page)) <= set(meanings)
    assert all(len(tags) == 1 for tags in meanings.values())


@pytest.mark.parametrize(
    ("change", "points", "color"),
    [
        (Interval(-0.5, -1.0, -0.25), [5, 65, 45], "good"),  # of 160 units from 5 on, 85 in the middle
        (Interval(0.5, 0.25, 1.0), [105, 165, 125], "bad"),
        (Interval(0.0, -0.5, 0.5), [45, 125, 85], "faint"),
        (Interval(3.0, 2.0, 4.0), [165, 165, 165], "bad"),
    ],
)
def test_a_whisker_spans_its_interval_on_the_scale_of_all(change: Interval, points: list[float], color: str):
    drawn = whisker(change, reach=1.0)
    _, span, dot = ElementTree.fromstring(drawn)
    assert [float(span.get("x1", "")), float(span.get("x2", "")), float(dot.get("cx", ""))] == points
    assert dot.get("fill") == f"var(--{color})"


def test_a_whisker_of_no_reach_lies_at_zero():
    _, _, dot = ElementTree.fromstring(whisker(Interval(0.0, 0.0, 0.0), reach=0.0))
    assert dot.get("cx") == "85.0"


def test_text_is_escaped_wherever_it_enters_and_markup_is_not():
    assert element("b", "<i>", Markup("<i></i>"), title='"') == '<b title="&quot;">&lt;i&gt;<i></i></b>'
    assert '<td class="">&amp;</td>' in table([("", "")], [["&"]])
    assert "<thead>" not in table([("", "")], [["&"]])
    assert '<th class="number" scope="col">A</th>' in table([("A", "number")], [])


@pytest.mark.parametrize(
    ("began", "ended", "whole", "x", "width"),
    [
        (0.0, 2.0, 8.0, 0.0, 250.0),
        (6.0, 8.0, 8.0, 750.0, 250.0),
        (8.0, 8.0, 8.0, 997.0, 3.0),  # too short to be seen, and still within the whole
        (0.0, 0.0, 0.0, 0.0, 3.0),
    ],
)
def test_a_span_lies_where_it_was_in_the_whole(began: float, ended: float, whole: float, x: float, width: float):
    track, bar = ElementTree.fromstring(span(began, ended, whole))
    assert float(track.attrib["width"]) == 1000.0
    assert (float(bar.attrib["x"]), float(bar.attrib["width"])) == (x, width)
