"""Days by a column of times: which rows are of which day, by a clock and its changes, and what is refused."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, data_of

from pipeline.data import logs
from pipeline.data.times import Clock, hours_of
from schemas.data import DataConfig
from schemas.errors import Refusal

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia"]
ZONES += ["Australia/Lord_Howe", "Pacific/Kiritimati", "America/St_Johns"]


def data_at(folder: Path, timezone: str = "UTC") -> DataConfig:
    return data_of(folder, partitioning={"by": "column", "column": "ts"}, timezone=timezone)


def write(path: Path, times: pa.Array, **how: object) -> None:
    rows = pa.concat_tables([click_rows(8 * number) for number in range(len(times) // 8 + 1)]).slice(0, len(times))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows.append_column("ts", times), path, **{"row_group_size": 4, **how})


def rows_of(data: DataConfig) -> dict[date, list[int]]:
    """The places, in what was written, of the rows that are read for each day."""
    manifest = logs.find(data, logs.days_of(data))
    found: dict[date, list[int]] = {}
    for part in manifest.parts(10**6):
        tables = [table for table, _ in logs.read_part(part, ["row"])]
        found[part.day] = [key for table in tables for key in table["row"].to_pylist()]
        assert part.num_rows == len(found[part.day])
    return found


def refusal_of(data: DataConfig) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        logs.days_of(data)
    return refusal.value


@pytest.mark.parametrize(("zone", "unit"), [*zip(ZONES, ["s", "ms", "us", "ns"] * 3, strict=False)])
def test_the_day_of_an_instant_is_the_one_that_its_zone_then_has(zone, unit):
    clock = Clock.of(pa.timestamp(unit, "UTC"), zone, is_int96=False)
    seconds = np.random.default_rng(0).integers(-(10**9), 4 * 10**9, 1000)
    changes = [
        datetime(year, month, day, tzinfo=UTC)
        for year in (2011, 2018)
        for month in (2, 3, 4, 10, 11, 12)
        for day in (4, 25, 28)
    ]
    near = [int(change.timestamp()) + 900 * step for change in changes for step in range(-100, 100)]
    seconds = np.concatenate([seconds, near])
    expected: dict[date, int] = {}
    for second in seconds.tolist():
        day = datetime.fromtimestamp(second, ZoneInfo(zone)).date()
        expected[day] = expected.get(day, 0) + 1
    ticks = seconds * (clock.ticks_a_day // 86_400)
    assert clock.count(ticks) == expected
    for day in sorted(expected)[::97]:
        assert sum(clock.is_on(pa.chunked_array([ticks]), day).to_pylist()) == expected[day]


def test_days_of_23_and_25_hours_have_the_rows_of_so_many(tmp_path):
    for day, hours in [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]:
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
        instants = [start + timedelta(hours=hour) for hour in range(-3, 28)]
        write(tmp_path / f"{day}.parquet", pa.array(instants, pa.timestamp("ms", "UTC")))
        assert len(rows_of(data_at(tmp_path, "Europe/Berlin"))[day]) == hours
        assert len(hours_of(day, "Europe/Berlin")) == min(hours, 24)
    assert hours_of(date(2026, 3, 29), "Europe/Berlin") == (0, 1, *range(3, 24))
    assert hours_of(date(2011, 12, 30), "Pacific/Apia") == (), "a day that was left out"


late = datetime(2026, 11, 1, 23, 30)


@pytest.mark.parametrize(
    ("times", "day"),
    [
        (pa.array([late], pa.timestamp("us", "UTC")), date(2026, 11, 2)),
        (pa.array([late], pa.timestamp("us", "America/New_York")), date(2026, 11, 2)),
        (pa.array([late], pa.timestamp("us")), date(2026, 11, 1)),
        (pa.array([late], pa.timestamp("s")), date(2026, 11, 1)),
        (pa.array([late.date()], pa.date32()), date(2026, 11, 1)),
        (pa.array([late.date()], pa.date64()), date(2026, 11, 1)),
    ],
    ids=["utc", "another zone", "naive", "naive seconds", "date32", "date64"],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_an_instant_is_of_its_day_there_and_what_has_no_zone_shows_the_clock_there(tmp_path, times, day, statistics):
    write(tmp_path / "a.parquet", times, write_statistics=statistics)
    assert rows_of(data_at(tmp_path, "Europe/Berlin")) == {day: [0]}


def test_the_timestamps_that_spark_writes_as_int96_are_instants(tmp_path):
    write(tmp_path / "a.parquet", pa.array([late], pa.timestamp("ns")), use_deprecated_int96_timestamps=True)
    assert rows_of(data_at(tmp_path)) == {date(2026, 11, 1): [0]}
    assert rows_of(data_at(tmp_path, "Europe/Berlin")) == {date(2026, 11, 2): [0]}


@pytest.mark.parametrize("statistics", [True, False])
def test_a_file_may_hold_several_days_and_a_day_be_in_several_files(tmp_path, statistics):
    days = [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 4)]
    order = np.random.default_rng(1).integers(0, 3, 40)
    noon = [datetime(days[i].year, days[i].month, days[i].day, 12, tzinfo=UTC) for i in order]
    for number in range(2):
        rows = pa.array(noon[20 * number : 20 * number + 20], pa.timestamp("us", "UTC"))
        write(tmp_path / f"{number}.parquet", rows, write_statistics=statistics)
    expected = {day: [row % 20 for row in range(40) if order[row] == i] for i, day in enumerate(days)}
    assert rows_of(data_at(tmp_path)) == expected


def test_row_groups_of_one_day_are_told_by_the_footer_and_no_column_is_read(tmp_path):
    noon = [datetime(2026, 11, 1 + row // 4, 12, tzinfo=UTC) for row in range(12)]
    write(tmp_path / "a.parquet", pa.array(noon, pa.timestamp("us", "UTC")), compression="none")
    path = tmp_path / "a.parquet"
    content = path.read_bytes()
    metadata = pq.ParquetFile(path).metadata
    last = metadata.row_group(2).column(metadata.num_columns - 1)
    end = last.dictionary_page_offset + last.total_compressed_size
    path.write_bytes(content[:4] + bytes(end - 4) + content[end:])  # all pages are gone
    manifest = logs.find(data_at(tmp_path), [date(2026, 11, 2)])
    assert manifest.files[0].row_group_rows == (0, 4, 0)


@pytest.mark.parametrize("statistics", [True, False])
def test_rows_without_a_time_are_of_no_day_and_told(tmp_path, statistics):
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    write(
        tmp_path / "a.parquet",
        pa.array([noon, None, noon] + [None] * 5, pa.timestamp("us", "UTC")),
        write_statistics=statistics,
    )
    data = data_at(tmp_path)
    assert rows_of(data) == {date(2026, 11, 1): [0, 2]}
    (told,) = logs.find(data, [date(2026, 11, 1)]).left_aside
    assert (Path(told.uri).name, told.reason) == ("a.parquet", "rows without a day")


def test_another_timezone_is_another_fingerprint_though_days_have_as_many_rows(tmp_path):
    instants = [datetime(2026, 11, day, 23, 30, tzinfo=UTC) for day in range(1, 9)]
    write(tmp_path / "a.parquet", pa.array(instants, pa.timestamp("us", "UTC")))
    day = [date(2026, 11, 3)]
    here, there = (logs.find(data_at(tmp_path, zone), day) for zone in ("UTC", "Europe/Berlin"))
    assert [file.num_rows for file in (*here.files, *there.files)] == [1, 1]
    assert here.fingerprint != there.fingerprint


def test_a_file_that_is_added_changes_the_days_that_it_has_rows_of_alone(tmp_path):
    def fingerprints() -> list[str]:
        data = data_at(tmp_path)
        return [logs.find(data, [date(2026, 11, day)]).fingerprint for day in (1, 2)]

    noon = [datetime(2026, 11, 1 + row // 4, 12, tzinfo=UTC) for row in range(8)]
    write(tmp_path / "a.parquet", pa.array(noon, pa.timestamp("us", "UTC")))
    before = fingerprints()
    write(tmp_path / "b.parquet", pa.array(noon[4:], pa.timestamp("us", "UTC")))
    first, second = fingerprints()
    assert first == before[0]
    assert second != before[1]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array(["2026-11-01"]), "column 'ts' of type string"),
        (pa.array([1793534400]), "column 'ts' of type int64"),
        (pa.array([1.5]), "column 'ts' of type double"),
        (pa.array([10**14], pa.timestamp("s")), "a time in no year from 1 to 9999 in column 'ts'"),
        (pa.array([-(10**14)], pa.timestamp("ms", "UTC")), "a time in no year from 1 to 9999 in column 'ts'"),
        (pa.array([None], pa.timestamp("us")), "no row with a time: 1 Parquet file, a.parquet"),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_column_that_tells_no_day_is_refused(tmp_path, column, found, statistics):
    write(tmp_path / "a.parquet", column, write_statistics=statistics)
    refusal = refusal_of(data_at(tmp_path))
    assert refusal.found == found
    assert str(tmp_path) in refusal.where


def test_a_file_without_the_column_or_with_two_of_its_name_is_refused_by_name(tmp_path):
    write(tmp_path / "a.parquet", pa.array([late], pa.timestamp("us")))
    pq.write_table(click_rows(), tmp_path / "b.parquet")
    refusal = refusal_of(data_at(tmp_path))
    assert refusal.found == "no column named 'ts'"
    assert "b.parquet" in refusal.where
    times_there = data_of(tmp_path, partitioning={"by": "column", "column": "time"})
    assert refusal_of(times_there).remedy.endswith("one that tells the day: 'ts'")
    rows = pq.ParquetFile(tmp_path / "a.parquet").read()
    pq.write_table(rows.append_column("ts", rows["ts"]), tmp_path / "b.parquet")
    assert refusal_of(data_at(tmp_path)).found == "2 columns named 'ts'"


def test_times_that_stand_for_never_are_days_like_others(tmp_path):
    never = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), None]
    ticks = [int(one.timestamp()) * 10**9 if one else 2**63 - 1 for one in never]
    write(tmp_path / "a.parquet", pa.array(ticks, pa.int64()).cast(pa.timestamp("ns", "UTC")))
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        assert [key for keys in rows_of(data_at(tmp_path, zone)).values() for key in keys] == [0, 1, 2]


@pytest.mark.parametrize("role", ["ignored", "field", "nothing"])
def test_the_column_may_be_ignored_or_a_field_or_be_named_nowhere_else(tmp_path, role):
    write(tmp_path / "a.parquet", pa.array([late] * 8, pa.timestamp("us")))
    data = data_at(tmp_path)
    spec = data.features.model_dump()
    if role == "ignored":
        spec["ignored"] = ["ts"]
    if role == "field":
        table = pq.ParquetFile(tmp_path / "a.parquet").read()
        days = table["ts"].cast(pa.date32())
        pq.write_table(table.drop_columns("ts").append_column("ts", days), tmp_path / "a.parquet")
        spec["fields"] = [*spec["fields"], {"name": "ts", "kind": "categorical"}]
    data = DataConfig.model_validate({**data.model_dump(), "features": spec})
    if role == "field":
        with pytest.raises(Refusal, match="column 'ts' of type date32"):
            logs.find(data, [late.date()])
        return
    (part,) = logs.find(data, [late.date()]).parts(100)
    assert all("ts" not in table.column_names for table, _ in logs.read_part(part, data.features.columns))
    assert [table["ts"].to_pylist() for table, _ in logs.read_part(part, ["ts"])] == [[late] * 4] * 2
