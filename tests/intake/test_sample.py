"""Rows of a log that nobody has described, whatever its files are and wherever they lie."""

import gzip
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, write_day

from pipeline.intake import blocks, log_files, sample
from pipeline.intake.sample import Sample
from schemas.errors import Refusal

ROWS = "user,age,clicked\nann,20,1\nbob,,0\n"


def take(path: Path) -> Sample:
    return sample.take(log_files.find(str(path)))


@pytest.mark.parametrize(
    "place", ["date=2026-11-01/a.parquet", "a.parquet", "2026/11/01/a.parquet", "date=2026-11-01/hour=03/part-0"]
)
def test_rows_are_found_in_whatever_folders_their_files_lie(tmp_path, place):
    path = tmp_path / "logs" / place
    path.parent.mkdir(parents=True)
    pq.write_table(click_rows(), path)
    (tmp_path / "logs" / "_SUCCESS").touch()
    (tmp_path / "logs" / "truth.json").write_text("{}")
    (tmp_path / "logs" / "quarantine").mkdir()
    (tmp_path / "logs" / "quarantine" / "bad.csv").write_text("x")
    assert take(tmp_path / "logs").rows.equals(click_rows())
    assert take(path).rows.equals(click_rows())


def test_of_many_days_some_are_looked_at_from_all_over_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "MOST_FILES", 5)
    days = [date(2026, 1, 1) + timedelta(number) for number in range(41)]
    for number, day in enumerate(days):
        write_day(tmp_path, day, click_rows(8 * number))
    taken = take(tmp_path)
    firsts = taken.rows["row"].to_pylist()[::8]
    assert firsts == [0, 80, 160, 240, 320], "the first day, the last, and between them as many days each"
    assert (taken.num_files, taken.total_rows) == (5, 41 * 8)
    assert taken.in_words == "40 rows of about 328, from 5 files"


def test_of_a_large_file_rows_are_taken_from_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 8)
    monkeypatch.setattr(sample, "LEAST_ROWS_OF_FILE", 1)
    pq.write_table(pa.table({"row": range(1000)}), tmp_path / "a.parquet", row_group_size=100)
    taken = take(tmp_path / "a.parquet")
    assert taken.rows["row"].to_pylist() == [0, 1, 300, 301, 600, 601, 900, 901]
    assert taken.total_rows == 1000


def test_of_many_small_row_groups_as_many_are_read_as_it_takes(tmp_path):
    pq.write_table(pa.table({"row": range(1000)}), tmp_path / "a.parquet", row_group_size=4)
    assert take(tmp_path / "a.parquet").rows["row"].to_pylist() == [*range(1000)]


def test_text_and_numbers_of_one_column_may_be_held_in_different_ways(tmp_path):
    kinds = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
    for number, kind in enumerate(kinds):
        rows = pa.table({"site": pa.array(["x", None]).cast(kind), "age": pa.array([1, 2], pa.int32())})
        pq.write_table(rows, tmp_path / f"{number}.parquet")
    pq.write_table(pa.table({"site": pa.nulls(1), "age": pa.array([0.5])}), tmp_path / "nulls.parquet")
    taken = take(tmp_path).rows
    assert taken["site"].to_pylist() == ["x", None] * 4 + [None]
    assert taken["age"].to_pylist() == [1.0, 2.0] * 4 + [0.5]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_csv_is_read_by_whichever_delimiter_it_has(tmp_path, delimiter, end, bom):
    path = tmp_path / "clicks.csv"
    path.write_text(bom + ROWS.replace(",", delimiter), encoding="utf-8", newline=end)
    taken = take(path)
    assert taken.rows.to_pylist() == [
        {"user": "ann", "age": 20, "clicked": 1},
        {"user": "bob", "age": None, "clicked": 0},
    ]
    assert taken.total_rows == 2


def test_packed_csv_and_a_folder_of_csv_are_read_as_well(tmp_path):
    (tmp_path / "1.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    (tmp_path / "2.csv").write_text(ROWS.rstrip("\n"))
    (tmp_path / "3.csv").write_text('user,age,clicked\n"a, ""b""\nc",3,0\n')
    assert take(tmp_path).rows["user"].to_pylist() == ["ann", "bob", "ann", "bob", 'a, "b"\nc']


def test_of_a_long_csv_the_first_rows_are_looked_at_and_all_are_told_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    monkeypatch.setattr(sample, "LEAST_ROWS_OF_FILE", 1)
    path = tmp_path / "clicks.csv"
    path.write_text("user,clicked\n" + "ann,1\nbob,0\n" * 5000)
    taken = take(path)
    assert len(taken.rows) == 164, "of the first block, whole lines alone"
    assert taken.total_rows == pytest.approx(10_000, rel=0.05)


def test_csv_is_read_as_it_will_be_imported(tmp_path):
    (tmp_path / "clicks.csv").write_text("zip,day,rate,clicked\n007,2026-11-01,NA,1\n123,2026-11-02,0.5,0\n")
    rows = take(tmp_path / "clicks.csv").rows
    assert rows["zip"].to_pylist() == ["007", "123"]
    assert rows["day"].to_pylist() == ["2026-11-01", "2026-11-02"]
    assert rows["rate"].to_pylist() == [None, 0.5]


def of_text(content: bytes, name: str = "clicks.csv"):
    return lambda folder: (folder / name).write_bytes(content)


def delta(folder: Path) -> None:
    write_day(folder, date(2026, 11, 1), click_rows())
    (folder / "_delta_log").mkdir()


def iceberg(folder: Path) -> None:
    (folder / "metadata").mkdir()
    (folder / "metadata" / "v1.metadata.json").touch()
    (folder / "data").mkdir()
    pq.write_table(click_rows(), folder / "data" / "a.parquet")


def mixed(folder: Path) -> None:
    pq.write_table(click_rows(), folder / "a.parquet")
    (folder / "b.csv").write_text(ROWS)


def cut(folder: Path) -> None:
    path = write_day(folder, date(2026, 11, 1), click_rows())
    path.write_bytes(path.read_bytes()[:-50])


def of_other_types(folder: Path) -> None:
    pq.write_table(pa.table({"age": [1]}), folder / "a.parquet")
    pq.write_table(pa.table({"age": [["old"]]}), folder / "b.parquet")


def twice(folder: Path) -> None:
    rows = click_rows()
    pq.write_table(rows.append_column("age", rows["age"]), folder / "a.parquet")


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda folder: None, "a folder without files that hold rows"),
        (delta, "a Delta Lake table"),
        (iceberg, "an Apache Iceberg table"),
        (mixed, "1 Parquet file, a.parquet; 1 CSV file, b.csv"),
        (of_text(b"{}", "a.avro"), "1 Avro file"),
        (of_text(b"text", "notes"), "1 file, notes"),
        (of_text(b"text", "a.parquet.gz"), "1 gzipped Parquet file"),
        (cut, "not whole Parquet"),
        (twice, "more than one column named 'age'"),
        (of_other_types, "files whose columns are not of the same types"),
        (lambda folder: pq.write_table(click_rows().slice(0, 0), folder / "a.parquet"), "no rows in 1 file"),
        (lambda folder: pq.write_table(pa.table({}), folder / "a.parquet"), "a file without columns"),
        (of_text(b"\n\n"), "no name of column 1"),
        (of_text(b"user,clicked\n"), "no rows in 1 file"),
        (of_text(b"user,clicked\nann,1,7\nbob,0\n"), "3 columns, where 2 are expected"),
        (of_text(b"user,clicked\nJos\xe9,1\n"), "user is not UTF-8"),
        (of_text(b"user,user\nann,1\n"), "2 columns named 'user'"),
        (of_text(b"user,,age\nann,1,2\n"), "no name of column 2"),
        (of_text(b"1,0.5,a\n0,0.25,b\n"), "'1' in the place of a column's name"),
        (of_text(gzip.compress(ROWS.encode() * 99)[:-40], "clicks.csv.gz"), "cannot be unpacked: Truncated"),
        (of_text(b"text", "clicks.csv.gz"), "cannot be unpacked: zlib inflate failed"),
    ],
    ids=[
        *("empty-folder", "delta", "iceberg", "mixed", "avro", "text", "packed", "cut", "twice", "types", "no-rows"),
        *("no-columns", "no-header", "header-only", "columns", "latin-1", "same-name", "no-name", "no-names"),
        *("cut-gzip", "no-gzip"),
    ],
)
def test_what_holds_no_rows_to_look_at_is_refused(tmp_path, write, found):
    write(tmp_path)
    with pytest.raises(Refusal) as refusal:
        take(tmp_path)
    assert found in refusal.value.found


def test_a_log_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refusal, match="nothing of that name"):
        take(tmp_path / "nowhere")
