"""Which partitioning is proposed for what lies in a folder."""

from datetime import datetime
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.folder_guess import found, time_columns
from schemas.partitioning import BY_DAY, PathFolders, TimeColumn


def laid_out(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("date=2026-11-08/hour=03/a.parquet", "date=YYYY-MM-DD/hour=HH"),
        ("year=2026/month=11/day=08/a.parquet", "year=YYYY/month=MM/day=DD"),
        ("year=2026/month=9/day=8/hour=3/a.parquet", "year=YYYY/month=MM/day=DD/hour=HH"),
        ("dt=20261108/a.parquet", "dt=YYYYMMDD"),
        ("dt=2026-11-08/a.parquet", "dt=YYYY-MM-DD"),
        ("dt=2026-11-08-03/a.parquet", "dt=YYYY-MM-DD-HH"),
        ("2026-11-08/a.parquet", "YYYY-MM-DD"),
        ("2026/11/08/03/a.parquet", "YYYY/MM/DD/HH"),
        ("month=2026-11/day=08/a.parquet", "month=YYYY-MM/day=DD"),
        ("ym=202611/d=8/a.parquet", "ym=YYYYMM/d=DD"),
    ],
)
def test_folders_that_tell_a_day_are_proposed_as_they_are_spelled(tmp_path, file, path):
    uri = laid_out(tmp_path, file, "_SUCCESS", "_temporary/0/x", "zebras/a.txt")
    assert found(fsspec.filesystem("file"), uri) == PathFolders(by="path", path=path)


def test_the_default_is_proposed_where_it_reads_the_log(tmp_path):
    assert found(fsspec.filesystem("file"), laid_out(tmp_path, "date=2026-11-08/a.parquet")) == BY_DAY


@pytest.mark.parametrize("folder", ["", "date=2026-11-08/country=DE", "year=2026/month=11", "date=2026-13-01"])
def test_a_column_of_times_is_proposed_where_folders_tell_no_day(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    noon = datetime(2026, 11, 8, 12)
    rows = pa.table({"updated": [noon], "age": [3], "ts": [noon], "day": [noon.date()]})
    pq.write_table(rows, tmp_path / folder / "b.parquet")
    (tmp_path / folder / "a.csv").touch()
    fs = fsspec.filesystem("file")
    assert found(fs, str(tmp_path)) == TimeColumn(by="column", column="ts")
    assert time_columns(fs, str(tmp_path)) == ["ts", "day", "updated"]


@pytest.mark.parametrize("file", ["clicks.csv", "part=3/a.parquet", "half.parquet", "x/"])
def test_nothing_is_proposed_where_nothing_tells_a_day(tmp_path, file):
    assert found(fsspec.filesystem("file"), laid_out(tmp_path, *([] if file == "x/" else [file]))) is None


def test_nothing_is_proposed_for_a_folder_that_is_not_there(tmp_path):
    assert found(fsspec.filesystem("file"), str(tmp_path / "nowhere")) is None
