from datetime import date

import pytest
from log_files import AVAZU_HEADER, avazu_line, imported, rows_of, write

from pipeline.intake.formats.avazu import Avazu
from schemas.errors import Refusal

DAY = date(2014, 10, 21)


def test_the_hour_becomes_the_day_and_the_hour_of_the_day(tmp_path):
    lines = [avazu_line("1", 0, "14102123"), avazu_line("17000000000000000002", 1, "14102200")]
    outcome = imported(Avazu(), write(tmp_path / "train.gz", [AVAZU_HEADER, *lines]))
    assert outcome.rows == {"2014-10-21": 1, "2014-10-22": 1}
    first, second = (rows_of(tmp_path / "logs", date(2014, 10, day)).to_pylist()[0] for day in (21, 22))
    assert (first["id"], first["click"], first["hour"], first["C20"]) == ("1", 0, 23, -1)
    assert (second["id"], second["click"], second["hour"], second["site_id"]) == (
        "17000000000000000002",
        1,
        0,
        "5fd731e4",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (avazu_line(hour="14103124"), "hour is '14103124', where YYMMDDHH is expected"),
        (avazu_line(hour="14023000"), "hour is '14023000', where YYMMDDHH is expected"),
        (avazu_line(hour="2014102100"), "hour is '2014102100', where YYMMDDHH is expected"),
        (avazu_line(hour=""), "hour is missing, where YYMMDDHH is expected"),
        (avazu_line(click=3), "click is 3, where 0 or 1 is expected"),
        (avazu_line() + ",", "25 columns, where 24 are expected"),
    ],
)
def test_a_line_that_breaks_the_format_is_left_out_with_the_reason(tmp_path, line, reason):
    file = write(tmp_path / "train.csv", [AVAZU_HEADER, avazu_line(), line])
    with pytest.raises(Refusal, match=f"line 3: {reason}"):
        imported(Avazu(), file)
    assert imported(Avazu(), file, max_bad_share=0.5).rows == {str(DAY): 1}


def test_a_file_without_clicks_or_without_the_line_of_names_is_refused(tmp_path):
    with pytest.raises(Refusal, match="first line of 23 columns: no column 'click'"):
        imported(Avazu(), write(tmp_path / "test.csv", [AVAZU_HEADER.replace("click,", ""), avazu_line()]))
    with pytest.raises(Refusal, match="first line of 24 columns: no column 'id'"):
        imported(Avazu(), write(tmp_path / "headless.csv", [avazu_line(), avazu_line()]))
