from datetime import date

import numpy as np
import pytest

from pipeline.intake.days import ByLine, by_files
from pipeline.intake.sources import Source
from schemas.errors import Refusal


def test_so_many_lines_are_a_day():
    days = ByLine(date(2026, 11, 30), 2).of(np.array([1, 2, 3, 5]))
    assert days.tolist() == [date(2026, 11, 30), date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 2)]


def test_a_file_s_number_counts_from_the_first_day():
    files = [Source(f"/in/day_{number}.gz", 1, 0.0) for number in (0, 7)]
    assert [one.first_day for one in by_files(files, date(2026, 11, 1), None)] == [date(2026, 11, 1), date(2026, 11, 8)]


@pytest.mark.parametrize("days", [1, 3_000_000, 10**20])
def test_a_day_after_the_last_of_the_calendar_is_refused(days):
    with pytest.raises(Refusal, match="days after 9999-12-31"):
        by_files([Source(f"/in/day_{days}", 1, 0.0)], date(9999, 12, 31), None)
    if days < 10**9:
        with pytest.raises(Refusal, match=f"line {days + 1:,}"):
            ByLine(date(9999, 12, 31), 1).of(np.array([1, days + 1]))
