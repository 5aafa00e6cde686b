"""What lies in a log besides its days' plain Parquet: refused where rows would be lost, else left aside and told."""

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from click_logs import SPEC, click_rows, data_of, write_day

from pipeline.data import logs
from pipeline.data.log_listing import in_words
from schemas.errors import Refusal
from schemas.features import FeatureSpec

FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)


@pytest.fixture
def day(logs_uri: str) -> Path:
    """The folder of the first day."""
    return Path(logs_uri) / f"date={FIRST}"


def refusal_of(logs_uri: str, spec: FeatureSpec, *days: date) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        logs.find(data_of(logs_uri, spec), days or logs.days_of(data_of(logs_uri, spec)))
    return refusal.value


@pytest.mark.parametrize(
    "spelling", ["20261108", "2026-W45-7", "2026-11-8", "2026-11-08T00", " 2026-11-08", "2026-13-01"]
)
def test_a_day_in_another_spelling_is_refused_with_the_one_expected(tmp_path, spelling):
    spec = FeatureSpec.model_validate({**SPEC, "partition": "dt"})
    (tmp_path / f"dt={spelling}").mkdir()
    refusal = refusal_of(str(tmp_path), spec)
    assert refusal.found == f"a partition named {spelling!r}"
    assert refusal.expected == "a day, YYYY-MM-DD"
    assert "strftime(rows['time'], '%Y-%m-%d') does (`Other layouts` in jobs/first-hour.md)" in refusal.remedy


def test_a_day_spelled_twice_is_refused(logs_uri, spec):
    (Path(logs_uri) / "date=20261101").mkdir()
    assert "'20261101'" in refusal_of(logs_uri, spec).found


@pytest.mark.parametrize("beside_files", [True, False])
def test_folders_with_rows_below_the_day_are_refused(logs_uri, spec, day, beside_files):
    write_day(day, SECOND, click_rows())
    (day / f"date={SECOND}").rename(day / "hour=03")
    if not beside_files:
        (day / "part-0.parquet").unlink()
    refusal = refusal_of(logs_uri, spec)
    assert "hour=03/" in refusal.found
    assert refusal.where.endswith(f"date={FIRST}")


def test_folders_of_other_tools_are_left_alone_and_empty_ones_told(logs_uri, spec, day):
    (day / "_temporary/0").mkdir(parents=True)
    (day / "_temporary/0/part-0.parquet").write_bytes((day / "part-0.parquet").read_bytes())
    (day / "hour=03/_temporary").mkdir(parents=True)
    manifest = logs.find(data_of(logs_uri, spec), [FIRST])
    assert manifest.num_rows == 8
    assert [(Path(one.uri).name, one.reason) for one in manifest.left_aside] == [("hour=03", "an empty folder")]


@pytest.mark.parametrize(
    ("marker", "table"),
    [
        ("_delta_log/00000000000000000000.json", "Delta Lake"),
        ("metadata/00000-6c1f.metadata.json", "Iceberg"),
        (".hoodie/hoodie.properties", "Hudi"),
        (".hoodie_partition_metadata", "Hudi"),
    ],
)
@pytest.mark.parametrize("place", ["", f"date={FIRST}"])
def test_a_table_whose_log_says_which_files_count_is_refused(logs_uri, spec, marker, table, place):
    path = Path(logs_uri, place, marker)
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    refusal = refusal_of(logs_uri, spec)
    assert table in refusal.found
    assert "plain Parquet" in refusal.remedy
    assert refusal.where == str(Path(logs_uri, place))


def test_the_data_folder_of_an_iceberg_table_is_refused(logs_uri, spec, tmp_path):
    shutil.move(logs_uri, tmp_path / "clicks" / "data")
    (tmp_path / "clicks/metadata").mkdir()
    (tmp_path / "clicks/metadata/v1.metadata.json").write_text("{}")
    assert "Iceberg" in refusal_of(str(tmp_path / "clicks/data"), spec).found


def litter(log: Path) -> None:
    """Something of each kind that other tools leave in a log."""
    day = log / f"date={FIRST}"
    (log / "date=__HIVE_DEFAULT_PARTITION__").mkdir()
    (log / "date=2026-11-09_$folder$").touch()
    (day / "inner_$folder$").touch()
    (day / "part-7").touch()
    (day / "manifest.json").write_text('{"parts": 1}')
    (day / "_SUCCESS").touch()
    os.mkfifo(day / "pipe")


def test_what_holds_no_rows_is_left_aside_and_told_in_one_line(logs_uri, spec, caplog):
    before = logs.find(data_of(logs_uri, spec), logs.days_of(data_of(logs_uri, spec)))
    assert before.left_aside == ()
    assert not caplog.records
    litter(Path(logs_uri))
    manifest = logs.find(data_of(logs_uri, spec), logs.days_of(data_of(logs_uri, spec)))
    assert manifest.to_json() == before.to_json()
    assert {(Path(one.uri).name, one.reason, one.day) for one in manifest.left_aside} == {
        ("date=__HIVE_DEFAULT_PARTITION__", "rows without a day", None),
        ("date=2026-11-09_$folder$", "zero bytes", None),
        ("inner_$folder$", "zero bytes", FIRST),
        ("part-7", "zero bytes", FIRST),
        ("manifest.json", "not Parquet", FIRST),
        ("pipe", "neither file nor folder", FIRST),
    }
    logs.find(data_of(logs_uri, spec), [FIRST])
    (record,) = caplog.records
    assert "6 left aside (1 x neither file nor folder, 1 x not Parquet," in record.getMessage()
    assert "manifest.json (not Parquet)" in record.getMessage()
    assert in_words(manifest.of_days([SECOND]).left_aside) == "2 left aside (1 x rows without a day, 1 x zero bytes)"


def test_a_parquet_file_of_another_name_is_read(logs_uri, spec, day):
    (day / "part-0.parquet").rename(day / "000000_0")
    assert logs.find(data_of(logs_uri, spec), [FIRST]).num_rows == 8


def test_half_a_parquet_file_of_another_name_is_refused(logs_uri, spec, day):
    (day / "000000_0").write_bytes((day / "part-0.parquet").read_bytes()[:-20])
    assert "not whole Parquet" in refusal_of(logs_uri, spec).found


@pytest.mark.parametrize("content", ["", "a,b"])
def test_a_day_of_which_nothing_is_left_is_refused(logs_uri, spec, day, content):
    (day / "part-0.parquet").unlink()
    (day / "rows.csv").write_text(content)
    found = refusal_of(logs_uri, spec).found
    assert found.startswith("a day without files that hold rows; 1 left aside")


def test_parts_behind_symbolic_links_are_read(logs_uri, spec, day, tmp_path):
    before = logs.find(data_of(logs_uri, spec), [FIRST])
    (day / "part-0.parquet").rename(tmp_path / "elsewhere")
    (day / "part-0.parquet").symlink_to(tmp_path / "elsewhere")
    manifest = logs.find(data_of(logs_uri, spec), [FIRST])
    assert manifest.to_json() == before.to_json()
    (part,) = manifest.parts(100)
    assert sum(len(table) for table, _ in logs.read_part(part, spec.columns)) == 8


def test_a_broken_symbolic_link_is_refused_by_name(logs_uri, spec, day):
    (day / "part-1.parquet").symlink_to("/nowhere/part-1.parquet")
    refusal = refusal_of(logs_uri, spec)
    assert "/nowhere/part-1.parquet" in refusal.found
    assert refusal.where.endswith(f"date={FIRST}/part-1.parquet")


def test_a_link_to_a_folder_is_a_folder_below_the_day(logs_uri, spec, day):
    (day / "more").symlink_to(Path(logs_uri) / f"date={SECOND}")
    assert "more/" in refusal_of(logs_uri, spec).found


def laid_out(folder: Path, *names: str) -> str:
    for name in names:
        path = folder / "log" / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("a,b")
    return str(folder / "log")


@pytest.mark.parametrize(
    ("names", "found", "remedy"),
    [
        (
            ["dt=2019-11-24/a.parquet", "dt=2019-11-25/a.parquet"],
            "2 folders, dt=2019-11-24/ to dt=2019-11-25/",
            "set `data.partitioning: {by: path, path: dt=YYYY-MM-DD}`",
        ),
        (
            ["dt=20191124/a.parquet"],
            "1 folder, dt=20191124/",
            "set `data.partitioning: {by: path, path: dt=YYYYMMDD}`",
        ),
        (
            ["2019-11-24/a.parquet", "2019-11-25/a.parquet"],
            "2 folders, 2019-11-24/ to 2019-11-25/",
            "set `data.partitioning: {by: path, path: YYYY-MM-DD}`",
        ),
        (
            ["year=2018/month=9/day=30/a.parquet", "year=2019/month=11/day=24/a.parquet"],
            "2 folders, year=2018/ to year=2019/; the first holds month=9/day=30/",
            "set `data.partitioning: {by: path, path: year=YYYY/month=MM/day=DD}`",
        ),
        ([f"clicks-{day}.csv" for day in range(1, 8)], "7 CSV files, clicks-1.csv to clicks-7.csv", "`From CSV`"),
        (["clicks.csv.gz", "_SUCCESS"], "1 gzipped CSV file, clicks.csv.gz", "`From CSV` in jobs/first-hour.md"),
        (["a.tsv", "b.jsonl", "README"], "1 TSV file, a.tsv; 1 JSON file, b.jsonl", "`From CSV`"),
        (["part.parquet.gz"], "1 gzipped Parquet file, part.parquet.gz", "unpack them"),
        (["a.gz"], "1 gzipped file, a.gz", "unpack them"),
        (
            ["clicks-2019-11-24.parquet", "clicks-2019-11-25.parquet"],
            "2 Parquet files, clicks-2019-11-24.parquet to clicks-2019-11-25.parquet",
            "move them into a folder a day, date=YYYY-MM-DD: `Other layouts`",
        ),
        (["notes.txt", "logs/date=2019-11-24/a.parquet"], "logs/ holds 1 folder, date=2019-11-24/", "/log/logs"),
        (["README"], "1 file, README", "set data.logs_uri"),
        (["a/", "b/"], "2 folders, a/ to b/", "set data.logs_uri"),
        (["x/../"], "it is empty", "set data.logs_uri"),
        ([], "there is no such folder", "`nightjar generate`"),
    ],
    ids=[
        *("dt", "compact", "days", "nested", "csv", "gz", "others", "parquet-gz", "any-gz", "flat", "deeper"),
        *("readme", "folders", "empty", "nowhere"),
    ],
)
def test_a_folder_that_is_no_log_is_refused_with_what_it_holds_and_the_key_or_the_page_that_reads_it(
    tmp_path, spec, names, found, remedy
):
    uri = laid_out(tmp_path, *names)
    if "x/../" in names:
        (tmp_path / "log/x").rmdir()
    refusal = refusal_of(uri, spec)
    assert refusal.found.startswith(f"no date=YYYY-MM-DD folder; {found}")
    assert remedy in refusal.remedy
    assert refusal.where == uri


def test_the_folder_of_a_day_or_a_file_in_the_place_of_the_log_is_refused_as_what_it_is(tmp_path, spec):
    uri = laid_out(tmp_path, "date=2019-11-24/a.parquet", "clicks.csv")
    refusal = refusal_of(f"{uri}/date=2019-11-24", spec)
    assert refusal.found.endswith("it is the folder of a day itself")
    assert refusal.remedy == f"set data.logs_uri to {uri}"
    assert "1 CSV file, clicks.csv" in refusal_of(f"{uri}/clicks.csv", spec).found


def test_a_day_of_csv_files_is_refused_with_their_kind_and_the_recipe(logs_uri, spec, day):
    (day / "part-0.parquet").unlink()
    for number in range(7):
        (day / f"part-{number}.csv").write_text("a,b")
    refusal = refusal_of(logs_uri, spec)
    assert refusal.found.endswith("7 left aside (7 x not Parquet): 7 CSV files, part-0.csv to part-6.csv")
    assert "`From CSV` in jobs/first-hour.md" in refusal.remedy
