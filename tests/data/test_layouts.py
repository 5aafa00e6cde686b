"""The same rows, however a log is divided into days."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, data_of
from layouts import DAYS, HOURS, LAYOUTS, laid_out, rows_at, write

from pipeline.data import logs, passes, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.logs import Manifest
from pipeline.data.missing_hours import MissingHours
from pipeline.data.split import ResolvedSplit
from schemas.data import DataConfig
from schemas.errors import Refusal

ONE_PART_A_DAY = 10**6
each_layout = pytest.mark.parametrize("name", LAYOUTS)
of_hours = pytest.mark.parametrize("name", ["hour", "unpadded", "together", "keyless"])
of_keyed_folders = pytest.mark.parametrize("name", ["hour", "unpadded", "year", "dt", "together"])


def keys_of(manifest: Manifest, day: date) -> list[int]:
    """The keys of the day's rows, in the order in which they are read."""
    parts = manifest.of_days([day]).parts(ONE_PART_A_DAY)
    return [key for part in parts for table, _ in logs.read_part(part, ["row"]) for key in table["row"].to_pylist()]


def keys_on(day: date) -> list[int]:
    return [key for hour in HOURS for key in rows_at(day, hour)["row"].to_pylist()]


def refusal_of(data: DataConfig, *days: date) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        logs.find(data, days or logs.days_of(data))
    return refusal.value


@each_layout
def test_days_are_listed_and_each_has_its_rows_in_their_order(tmp_path, name):
    data = laid_out(name, tmp_path)
    assert logs.days_of(data) == DAYS
    manifest = logs.find(data, DAYS)
    assert manifest.days == tuple(DAYS)
    assert manifest.left_aside == manifest.missing_hours == ()
    for day in DAYS:
        assert manifest.of_days([day]).num_rows == 24 * 8
        assert keys_of(manifest, day) == keys_on(day)
        assert keys_of(logs.find(data, [day]), day) == keys_on(day)


@each_layout
def test_a_part_reads_row_groups_of_its_day_alone_and_every_row_once(tmp_path, name):
    manifest = logs.find(laid_out(name, tmp_path), DAYS)
    parts = manifest.parts(50)
    assert len(parts) > len(DAYS)
    rows = [
        (part.day, key)
        for part in parts
        for table, _ in logs.read_part(part, ["row"])
        for key in table["row"].to_pylist()
    ]
    assert sorted(rows) == [(day, key) for day in DAYS for key in keys_on(day)]
    assert sum(part.num_rows for part in parts) == len(rows)
    assert all(len(table) for part in parts for table, _ in logs.read_part(part, ["row"])), "a row group without a row"


@each_layout
def test_each_layout_comes_to_the_same_vocabulary_and_the_same_encoded_rows(tmp_path, name):
    def encoded(name: str) -> tuple[pa.Table, dict[tuple[date, str], bytes]]:
        data = laid_out(name, tmp_path / name)
        manifest, split = logs.find(data, DAYS), ResolvedSplit(tuple(DAYS[:2]), (DAYS[2],))
        vocab = vocabulary.build(data.features, passes.count_values(manifest, data, split))
        found = {}
        for part in manifest.parts(ONE_PART_A_DAY):
            for of_split, rows in passes.encode_part(part, Encoder(vocab), data, split, 0).items():
                found[part.day, of_split] = np.concatenate([rows.ids, rows.labels.view(np.int32)]).tobytes()
        return vocab.values, found

    assert encoded(name) == encoded("day")


def test_the_default_s_fingerprint_is_that_of_its_files_alone(tmp_path):
    data = laid_out("day", tmp_path)
    manifest = logs.find(data, DAYS[:1])
    assert [*json.loads(manifest.to_json())[0]] == ["uri", "day", "size_bytes", "row_group_rows", "footer_sha256"]
    named = data_of(tmp_path, partitioning={"by": "path", "path": "date=YYYY-MM-DD"}, timezone="Asia/Tokyo")
    assert logs.find(named, DAYS[:1]) == manifest


@of_hours
def test_a_missing_hour_is_named_in_the_manifest_and_in_a_warning(tmp_path, name, caplog):
    data = laid_out(name, tmp_path)
    for hour in (3, 7, 8):
        shutil.rmtree(tmp_path / LAYOUTS[name].folder(DAYS[1], hour))
    manifest = logs.find(data, DAYS)
    assert manifest.missing_hours == (MissingHours(DAYS[1], (3, 7, 8)),)
    assert manifest.of_days(DAYS[:1]).missing_hours == ()
    assert [record.getMessage() for record in caplog.records] == ["of the log, 2026-11-02 without hours 03, 07 to 08"]
    there = [hour for hour in HOURS if hour not in (3, 7, 8)]
    assert keys_of(manifest, DAYS[1]) == [key for hour in there for key in rows_at(DAYS[1], hour)["row"].to_pylist()]


def test_hours_are_those_that_the_day_has_in_its_timezone(tmp_path):
    summer, winter = date(2026, 3, 29), date(2026, 10, 25)
    path = {"by": "path", "path": "date=YYYY-MM-DD/hour=HH"}
    for day in (summer, winter):
        for hour in HOURS:
            if (day, hour) != (summer, 2):
                write(tmp_path / f"date={day}/hour={hour:02}/a.parquet", click_rows())
    berlin = data_of(tmp_path, partitioning=path, timezone="Europe/Berlin")
    assert logs.find(berlin, [summer, winter]).missing_hours == ()
    in_utc = data_of(tmp_path, partitioning=path)
    assert logs.find(in_utc, [summer, winter]).missing_hours == (MissingHours(summer, (2,)),)


def test_an_hour_without_rows_is_there_where_a_success_file_says_so(tmp_path):
    data = laid_out("hour", tmp_path)
    hour = tmp_path / f"date={DAYS[0]}/hour=05"
    (hour / "part-0.parquet").unlink()
    assert logs.find(data, DAYS).missing_hours == (MissingHours(DAYS[0], (5,)),)
    (hour / "_SUCCESS").touch()
    assert logs.find(data, DAYS).missing_hours == ()


@pytest.mark.parametrize(
    ("name", "folder", "found"),
    [
        ("hour", "date=20261104", "a partition named '20261104'"),
        ("hour", "date=2026-11-01/hour=24", "a partition named '24'"),
        ("hour", "date=2026-11-01/hour=three", "a partition named 'three'"),
        ("unpadded", "year=2026/month=13", "a partition named '13'"),
        ("unpadded", "year=2026/month=2/day=30", "a partition named '30'"),
        ("year", "year=26", "a partition named '26'"),
        ("dt", "dt=2026-11-04", "a partition named '2026-11-04'"),
        ("keyless", "today", "a partition named 'today'"),
        ("together", "dt=2026-11-04", "a partition named '2026-11-04'"),
    ],
)
def test_a_folder_in_another_spelling_is_refused_with_the_one_expected(tmp_path, name, folder, found):
    data = laid_out(name, tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    refusal = refusal_of(data)
    assert refusal.found == found
    assert refusal.expected.split(", ")[1] in LAYOUTS[name].partitioning["path"]


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("hour", "date=2026-11-01/hour=03", "date=2026-11-01/hour=3"),
        ("unpadded", "year=2026/month=11/day=1", "year=2026/month=11/day=01"),
        ("unpadded", "year=2026/month=11/day=1/hour=3", "year=2026/month=11/day=1/hour=03"),
        ("keyless", "2026/11/01/03", "2026/11/01/3"),
    ],
)
def test_a_time_that_two_folders_have_is_refused_with_both(tmp_path, name, one, other):
    data = laid_out(name, tmp_path)
    shutil.copytree(tmp_path / one, tmp_path / other)
    refusal = refusal_of(data)
    assert refusal.found.startswith("two folders of the same time, ")
    assert Path(one).name in refusal.found
    assert Path(other).name in refusal.found


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hour", f"date={DAYS[1]}/part-9.parquet"),
        ("hour", f"date={DAYS[1]}/country=DE/part-0.parquet"),
        ("hour", f"date={DAYS[1]}/hour=03/part=7/part-0.parquet"),
        ("year", "year=2026/part-0.parquet"),
        ("year", "year=2026/month=11/000000_0"),
        ("year", "year=2026/week=3/part-0.parquet"),
        ("year", "year=2026/month=11/day=02/hour=03/part-0.parquet"),
        ("keyless", "2026/11/part-0.parquet"),
        ("day", f"date={DAYS[1]}/hour=03/part-0.parquet"),
    ],
)
def test_rows_in_another_layout_beside_the_log_s_own_are_refused_where_they_lie(tmp_path, name, place):
    data = laid_out(name, tmp_path)
    write(tmp_path / place, click_rows())
    refusal = refusal_of(data)
    assert Path(place).parts[-1] in refusal.found or Path(place).parts[-2] in refusal.found
    assert refusal.where.startswith(str(tmp_path / Path(place).parts[0]))
    assert "Other layouts" in refusal.remedy


@pytest.mark.parametrize("name", sorted({*LAYOUTS} - {"day"}))
def test_each_layout_is_refused_by_the_default_with_the_key_that_reads_it(tmp_path, name):
    data = laid_out(name, tmp_path)
    refusal = refusal_of(data_of(tmp_path))
    own = ", ".join(f"{key}: {value}" for key, value in LAYOUTS[name].partitioning.items())
    assert f"`data.partitioning: {{{own}}}`" in refusal.remedy
    assert keys_of(logs.find(data, DAYS), DAYS[0]) == keys_on(DAYS[0])


@of_keyed_folders
def test_what_holds_no_rows_is_left_aside_on_each_level(tmp_path, name):
    data = laid_out(name, tmp_path)
    before = logs.find(data, DAYS)
    (first,) = {Path(file.uri.removeprefix("file://")).parent for file in before.files[:1]}
    above = [folder for folder in (first, *first.parents) if tmp_path in folder.parents]
    for folder in above:
        (folder / "_SUCCESS").touch()
        (folder / "part-7").touch()
        (folder / "notes.json").write_text("{}")
        (folder / "empty").mkdir()
        (folder / "_temporary/0").mkdir(parents=True)
    found = logs.find(data, DAYS)
    assert found.to_json() == before.to_json()
    reasons = sorted(one.reason for one in found.left_aside)
    assert reasons == sorted(["zero bytes", "not Parquet", "an empty folder"] * len(above))


@of_keyed_folders
def test_hive_s_null_and_what_hadoop_leaves_are_left_aside_on_each_level(tmp_path, name):
    data = laid_out(name, tmp_path)
    before = logs.find(data, DAYS)
    folder = tmp_path / LAYOUTS[name].folder(DAYS[0], 0)
    levels = LAYOUTS[name].partitioning["path"].split("/")
    for level in reversed(levels):
        folder, key = folder.parent, level.partition("=")[0]
        (folder / f"{key}=__HIVE_DEFAULT_PARTITION__").mkdir()
        (folder / f"{key}=7_$folder$").touch()
    found = logs.find(data, DAYS)
    assert found.files == before.files
    assert sorted(one.reason for one in found.left_aside) == sorted(["rows without a day", "zero bytes"] * len(levels))


@each_layout
@pytest.mark.parametrize("marker", ["_delta_log/0.json", "metadata/1.metadata.json", ".hoodie/hoodie.properties"])
def test_a_table_whose_log_says_which_files_count_is_refused_in_each_layout(tmp_path, name, marker):
    data = laid_out(name, tmp_path)
    (tmp_path / marker).parent.mkdir()
    (tmp_path / marker).write_text("{}")
    assert "table" in refusal_of(data).found


@pytest.mark.parametrize("marker", ["_delta_log/0.json", "metadata/1.metadata.json", ".hoodie/hoodie.properties"])
def test_a_table_anywhere_below_is_refused_where_a_column_tells_the_days(tmp_path, marker):
    data = laid_out("files", tmp_path)
    (tmp_path / "from-1" / marker).parent.mkdir()
    (tmp_path / "from-1" / marker).write_text("{}")
    assert "table" in refusal_of(data).found


def test_a_key_that_the_feature_spec_does_not_name_is_refused_with_a_setting_that_reads_it(tmp_path):
    data = laid_out("day", tmp_path)
    other = data_of(tmp_path, data.features.model_copy(update={"partition": "dt"}))
    assert refusal_of(other).remedy == "set `data.partitioning: {by: path, path: date=YYYY-MM-DD}`"
    read = data_of(tmp_path, other.features, partitioning={"by": "path", "path": "date=YYYY-MM-DD"})
    assert logs.days_of(read) == DAYS


@each_layout
def test_a_day_that_is_not_there_is_refused(tmp_path, name):
    assert refusal_of(laid_out(name, tmp_path), date(2026, 12, 24)).found == "no such day, 2026-12-24"


@each_layout
def test_a_log_without_a_day_is_refused_with_what_is_there(tmp_path, name):
    (tmp_path / "clicks.csv").write_text("a,b")
    refusal = refusal_of(data_of(tmp_path, partitioning=LAYOUTS[name].partitioning))
    assert "1 CSV file, clicks.csv" in refusal.found
    assert "`From CSV`" in refusal.remedy


@each_layout
def test_half_a_file_is_refused_by_name(tmp_path, name):
    data = laid_out(name, tmp_path)
    file = sorted(tmp_path.rglob("*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:-100])
    refusal = refusal_of(data)
    assert "not whole Parquet" in refusal.found
    assert str(file) in refusal.where


@pytest.mark.parametrize(("name", "column"), [("dt", "dt"), ("hour", "hour"), ("year", "month")])
def test_a_column_that_is_named_like_a_folder_s_key_is_known(tmp_path, name, column):
    data = laid_out(name, tmp_path)
    for file in tmp_path.rglob("*.parquet"):
        rows = pq.ParquetFile(file).read()
        value = file.parent.name.partition("=")[2] if column == "dt" else "11"
        pq.write_table(rows.append_column(column, pa.array([value] * len(rows))), file)
    manifest = logs.find(data, DAYS)
    assert keys_of(manifest, DAYS[0]) == keys_on(DAYS[0])


def test_a_column_that_tells_another_day_than_the_folder_of_its_name_is_refused(tmp_path):
    data = laid_out("dt", tmp_path)
    file = tmp_path / "dt=20261102/part-0.parquet"
    rows = pq.ParquetFile(file).read()
    pq.write_table(rows.append_column("dt", pa.array(["20261101"] * len(rows))), file)
    assert refusal_of(data).found == "20261101 in column 'dt'"
