"""What each field is worth, on the pages of nights and retrains and as a figure."""

import io
from dataclasses import replace

from example_pages import EVIL, RETRAIN
from html_reader import Reader

from pipeline.evaluation.worth import FieldWorth, Worth
from pipeline.report import html, retrain_page
from pipeline.report.page import Page
from pipeline.report.worth import plot_worth

WORTH = Worth(
    9_876,
    0.83,
    (
        FieldWorth("hour", (-0.001, 0.0, 0.001), 0.0),
        FieldWorth("ad", (0.01, 0.03, 0.02), 0.05),
        FieldWorth(EVIL, (0.012, 0.008, 0.01), -0.002),
    ),
)
NIGHT = Page("clicks", "2026-11-19", "kept", worth=WORTH)
HEADING = "What each field is worth"


def rows_of(page: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in Reader(page).rows if row}


def test_fields_stand_by_what_they_are_worth_with_the_bounds_of_their_shuffles():
    page = html.render(NIGHT)
    assert Reader(page).text["h2"] == [HEADING]
    rows = rows_of(page)
    assert [*rows] == ["Field", "ad", EVIL, "hour"], "the last one's name is text"
    assert rows["ad"][1:] == ["+0.0200", "+0.0100 to +0.0300", "+0.0500"]
    assert rows["hour"][1:] == ["+0.0000", "-0.0010 to +0.0010", "+0.0000"]
    assert page.count('class="span"') == 2, "what is worth nothing has no bar"
    assert "9,876 held-out rows" in page


def test_a_night_says_what_has_changed_since_an_earlier_one_where_there_is_one():
    before = {"ad": 0.025, "gone": 0.5}
    rows = rows_of(html.render(replace(NIGHT, worth_before=before, worth_of="2026-11-18")))
    assert rows["Field"][-1] == "Against 2026-11-18"
    assert rows["ad"][-1] == "-0.0050"
    assert rows["hour"][-1] == "\N{EN DASH}", "it was no field then"


def test_the_page_of_a_retrain_has_it_too_and_one_without_it_says_nothing_of_it():
    bare = replace(RETRAIN, stages=(), sums={})
    assert HEADING not in retrain_page.render(bare)
    assert rows_of(retrain_page.render(replace(bare, worth=WORTH)))["ad"][1] == "+0.0200"
    assert HEADING not in html.render(replace(NIGHT, worth=None))


def test_a_name_that_looks_like_a_formula_is_drawn_as_it_is():
    (axes,) = plot_worth(WORTH).axes
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())


def test_the_figure_has_a_bar_a_field_the_longest_on_top():
    (axes,) = plot_worth(WORTH).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ad", EVIL, "hour"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted((one.rise for one in WORTH.fields), reverse=True)
    assert axes.yaxis_inverted()


def test_of_very_many_fields_those_of_most_worth_are_drawn_and_all_told():
    many = Worth(100, 0.9, tuple(FieldWorth(f"field_{n}", (n / 1000,), 0.0) for n in range(3_000)))
    figure = plot_worth(many)
    figure.savefig(io.BytesIO(), format="svg")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == ["field_2999", "field_2998"]
    assert len(rows_of(html.render(replace(NIGHT, worth=many)))) == 3_001
