"""Which rows are held out, by how many days, rows and clicks the newest days have."""

from datetime import date

import pytest

from pipeline.intake.holding_out import MOST_DAYS, DayRows, choose

FIRST = date(2026, 11, 1)


def days(*rows: int) -> list[DayRows]:
    return [DayRows(date(2026, 11, 1 + number), one) for number, one in enumerate(rows)]


def test_the_newest_day_is_held_out_where_it_has_clicks_enough():
    held_out = choose(days(*[5000] * 7), 30, click_share=0.02, row_key="id")
    assert held_out.split == {}
    assert held_out.words == "the newest day is held out, of 30: 2026-11-07, with 5,000 rows"


@pytest.mark.parametrize(
    ("rows", "share", "number"), [([400] * 7, 0.2, 3), ([5000] * 7, 0.01, 2), ([1000, 10, 2000, 900], 0.05, 2)]
)
def test_as_many_of_the_newest_days_are_held_out_as_have_clicks_enough_together(rows, share, number):
    newest = days(*rows)
    held_out = choose(newest, 30, share, row_key=None)
    assert held_out.split == {"by": "date", "test_dates": [str(one.day) for one in newest[-number:]]}
    assert "fewer have few clicks" in held_out.words


def test_rows_are_drawn_by_their_key_where_a_week_has_too_few_clicks():
    held_out = choose(days(*[10] * MOST_DAYS), 500, 0.1, row_key="call_id")
    assert held_out.split == {"by": "random", "row_key": "call_id"}
    assert "the newest 7 days have only 70 rows, about 7 of them clicks" in held_out.words


def test_rows_of_one_day_are_drawn_by_their_key():
    held_out = choose(days(100_000), 1, 0.1, row_key="id")
    assert held_out.split == {"by": "random", "row_key": "id"}
    assert "the log has one day" in held_out.words


def test_without_a_key_the_newest_day_is_held_out_and_that_it_is_small_is_told():
    held_out = choose(days(10, 10), 2, 0.1, row_key=None)
    assert held_out.split == {}
    assert "could be --row-key" in held_out.words
