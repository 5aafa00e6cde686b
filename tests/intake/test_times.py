from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from pipeline.intake.times import days_of


def day_of(text: str, timezone: str = "UTC") -> date | None:
    days, is_none = days_of(pa.chunked_array([[text]]), timezone)
    return None if is_none[0] else days[0].item()


@pytest.mark.parametrize(
    ("text", "timezone", "day"),
    [
        ("2026-11-19", "UTC", 19),
        ("2026-11-19 23:59:59", "UTC", 19),
        ("2026-11-19T23:59:59.999999", "America/New_York", 19),  # its clocks show this already
        ("2026-11-19T23:30:00Z", "Europe/Berlin", 20),
        ("2026-11-19 23:30:00 UTC", "Europe/Berlin", 20),
        ("2026-11-19T03:30:00Z", "America/New_York", 18),
        ("2026-11-19T23:30:00-05:00", "UTC", 20),
        ("2026-11-20T00:30+0200", "UTC", 19),
        ("2026-11-20T00:30+02", "UTC", 19),
        ("1795046400", "UTC", 19),  # 2026-11-19 00:00:00
        ("1795046399", "UTC", 18),
        ("1795046399999", "UTC", 18),
        ("1795046400000", "UTC", 19),
        ("1795046400000000", "UTC", 19),
        ("1795046400000000000", "UTC", 19),
        ("1795046399.9", "UTC", 18),
        ("1795042800", "Europe/Berlin", 19),  # 23:00 in Greenwich
        (" 2026-11-19 ", "UTC", 19),
    ],
)
def test_a_time_is_in_the_day_that_it_is_in_where_days_are_counted(text, timezone, day):
    assert day_of(text, timezone) == date(2026, 11, day)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "12", "20261119", "99999999999999999999", "19.11.2026", "11/19/2026", "2026-02-30"),
        *("2026-13-01", "2026-00-10", "2026-11-00", "2026-11-19 25:00:00", "2026-11-19T", "2026-11-19 08:30:00 CET"),
        *("0000-00-00 00:00:00", "0000-01-01", "-99999999999", "9999-12-31T23:30:00-01:00"),  # in no year that has days
    ],
)
def test_what_is_no_time_is_told_from_one(text):
    assert day_of(text) is None


def test_every_hour_around_the_changes_of_clocks_is_in_the_day_that_zoneinfo_says():
    for timezone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"):
        zone = ZoneInfo(timezone)
        for begin in (datetime(2026, 3, 28, tzinfo=ZoneInfo("UTC")), datetime(2026, 10, 24, tzinfo=ZoneInfo("UTC"))):
            instants = [begin + timedelta(minutes=30 * step) for step in range(200)]
            expected = [instant.astimezone(zone).date() for instant in instants]
            for texts in (
                [instant.isoformat() for instant in instants],
                [str(int(instant.timestamp())) for instant in instants],
                [instant.astimezone(zone).isoformat() for instant in instants],
            ):
                days, is_none = days_of(pa.chunked_array([texts]), timezone)
                assert not is_none.any()
                assert days.tolist() == expected
