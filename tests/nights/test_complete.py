"""When a day is whole, by each rule and in each layout, and what it is said to want where it is not."""

import shutil
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from click_logs import data_of
from layouts import DAYS, HOURS, LAYOUTS, laid_out, rows_at, write

from pipeline.data import logs
from pipeline.nights import complete
from schemas.config import TrainConfig
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.night import NightConfig

of_hours = pytest.mark.parametrize("name", ["hour", "unpadded", "together", "keyless"])


def newest(data: DataConfig, **night: Any) -> date:
    return complete.newest_complete(logs.look(data), data, NightConfig(**night))


def wanting(day: date, data: DataConfig, **night: Any) -> Refusal | None:
    return complete.why_incomplete(day, logs.look(data), data, NightConfig(**night))


@of_hours
@pytest.mark.parametrize("rule", ["delay", "later_day"])
def test_a_day_is_whole_with_all_its_hours_and_the_missing_ones_are_named(tmp_path, name, rule):
    data = laid_out(name, tmp_path)
    assert wanting(DAYS[1], data, complete=rule) is None
    for hour in (3, 22, 23):
        shutil.rmtree(tmp_path / LAYOUTS[name].folder(DAYS[1], hour))
    refusal = wanting(DAYS[1], data, complete=rule)
    assert refusal
    assert refusal.found == "2026-11-02 without hours 03, 22 to 23"
    assert "each hour that the day has in UTC" in refusal.expected
    assert newest(data, complete=rule) == (DAYS[0] if rule == "later_day" else DAYS[2])


@of_hours
def test_by_success_file_hours_have_one_each_or_their_day_has_it(tmp_path, name):
    data = laid_out(name, tmp_path)
    folders = [tmp_path / LAYOUTS[name].folder(DAYS[1], hour) for hour in HOURS]
    for folder in folders[:-1]:
        (folder / "_SUCCESS").touch()
    refusal = wanting(DAYS[1], data, complete="success_file")
    assert refusal
    assert refusal.found == "2026-11-02 without a _SUCCESS file"
    assert "in that of each of its hours" in refusal.expected
    (folders[-1] / "_SUCCESS").touch()
    assert newest(data, complete="success_file") == DAYS[1]
    if name != "together":  # whose day has no folder of its own
        shutil.rmtree(folders[-1])
        assert wanting(DAYS[1], data, complete="success_file")
        (folders[0].parent / "_SUCCESS").touch()
        assert newest(data, complete="success_file") == DAYS[1]


@pytest.mark.parametrize("name", ["day", "year", "dt"])
def test_by_success_file_a_day_has_it_in_its_own_folder(tmp_path, name):
    data = laid_out(name, tmp_path)
    assert wanting(DAYS[2], data, complete="success_file")
    (tmp_path / LAYOUTS[name].folder(DAYS[0], 0) / "_SUCCESS").touch()
    assert newest(data, complete="success_file") == DAYS[0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_by_a_later_day_the_newest_is_not_whole_in_any_layout(tmp_path, name):
    data = laid_out(name, tmp_path)
    assert newest(data, complete="later_day") == DAYS[1]
    refusal = wanting(DAYS[2], data, complete="later_day")
    assert refusal
    assert refusal.found == "2026-11-03, the log's newest day"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_a_day_ends_where_it_is(tmp_path, zone):
    today = datetime.now(ZoneInfo(zone)).date()
    for day in (today - timedelta(1), today):
        write(tmp_path / f"date={day}" / "a.parquet", rows_at(DAYS[0], 0))
    data = data_of(tmp_path, timezone=zone)
    assert newest(data, label_delay_days=0) == today
    assert newest(data, label_delay_days=1) == today - timedelta(1)
    assert wanting(today, data, label_delay_days=1)


def test_an_hour_that_summer_time_skips_is_not_waited_for(tmp_path):
    day = date(2026, 3, 29)
    for hour in HOURS:
        if hour != 2:
            write(tmp_path / f"date={day}/hour={hour:02}/a.parquet", rows_at(DAYS[0], 0))
    path = {"by": "path", "path": "date=YYYY-MM-DD/hour=HH"}
    assert wanting(day, data_of(tmp_path, partitioning=path, timezone="Europe/Berlin")) is None
    refusal = wanting(day, data_of(tmp_path, partitioning=path, timezone="Africa/Lagos"))
    assert refusal
    assert refusal.found == "2026-03-29 without hour 02"


def test_a_success_file_is_refused_as_the_rule_for_days_that_have_no_folder():
    data = {
        "logs_uri": "/logs",
        "features": data_of("/logs").features,
        "partitioning": {"by": "column", "column": "ts"},
    }
    stages, night = [{"name": "fm", "model": "fm"}], {"complete": "success_file"}
    with pytest.raises(ValueError, match="later_day or delay: a day has no folder of its own"):
        TrainConfig.model_validate({"data": data, "stages": stages, "night": night})
    for rule in ("later_day", "delay"):
        assert TrainConfig.model_validate({"data": data, "stages": stages, "night": {"complete": rule}})


def test_rows_of_the_newest_day_that_came_late_do_not_make_it_whole(tmp_path):
    data = laid_out("flat", tmp_path)
    early = rows_at(DAYS[2], 0).append_column("ts", pa.array([datetime(2026, 11, 3, 23, 59)] * 8, pa.timestamp("us")))
    write(tmp_path / "late.parquet", early)
    assert newest(data, complete="later_day") == DAYS[1]
