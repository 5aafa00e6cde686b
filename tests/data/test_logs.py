from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, data_of, write_day

from pipeline.data import logs
from pipeline.data.logs import Part
from pipeline.data.unreadable import unreadable
from schemas.errors import Refusal

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)


def test_days_are_found_oldest_first(logs_uri, spec):
    assert logs.days_of(data_of(logs_uri, spec)) == [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)]


def test_the_manifest_counts_rows_without_reading_them(logs_uri, spec):
    manifest = logs.find(data_of(logs_uri, spec), logs.days_of(data_of(logs_uri, spec)))
    assert [(file.day.day, file.num_rows, file.row_group_rows) for file in manifest.files] == [
        (day, 8, (4, 4)) for day in (1, 2, 3)
    ]


def test_rewriting_a_file_with_other_values_changes_the_fingerprint(logs_uri, spec):
    def fingerprint() -> str:
        return logs.find(data_of(logs_uri, spec), [FIRST]).fingerprint

    before = fingerprint()
    assert fingerprint() == before
    write_day(Path(logs_uri), FIRST, click_rows(100))
    assert fingerprint() != before


def test_parts_hold_every_row_group_once_and_each_samples_the_whole_day(tmp_path, spec):
    write_day(tmp_path, FIRST, pa.concat_tables([click_rows(8 * i) for i in range(4)]), row_group_size=4)
    parts = logs.find(data_of(tmp_path, spec), [FIRST]).parts(rows_per_part=16)
    assert [[group for _, group in part.row_groups] for part in parts] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    rows = [row for part in parts for table, _ in logs.read_part(part, ["row"]) for row in table["row"].to_pylist()]
    assert sorted(rows) == list(range(32))


def test_files_that_other_tools_left_are_no_data(logs_uri, spec):
    (Path(logs_uri) / f"date={FIRST}" / "_SUCCESS").touch()
    (Path(logs_uri) / f"date={FIRST}" / ".part-1.parquet.tmp").write_text("half")
    assert logs.find(data_of(logs_uri, spec), [FIRST]).num_rows == 8


def no_log(folder: Path) -> None:
    for path in folder.glob("date=*/*"):
        path.unlink()
    for path in folder.glob("date=*"):
        path.rmdir()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (no_log, "no date=YYYY-MM-DD folder"),
        (lambda folder: (folder / "date=today").mkdir(), "a partition named 'today'"),
        (lambda folder: (folder / f"date={FIRST}/part-0.parquet").unlink(), "a day without files"),
        (lambda folder: write_day(folder, FIRST, click_rows().slice(0, 0)), "no rows"),
        (lambda folder: (folder / f"date={FIRST}/part-1.parquet").write_text("no Parquet"), "not whole Parquet"),
        (lambda folder: write_day(folder, LAST, click_rows().drop_columns(["age"])), "no column 'age'"),
    ],
)
def test_a_damaged_log_is_refused(logs_uri, spec, damage, found):
    damage(Path(logs_uri))
    with pytest.raises(Refusal) as refusal:
        logs.find(data_of(logs_uri, spec), logs.days_of(data_of(logs_uri, spec)))
    assert found in refusal.value.found
    assert str(logs_uri) in refusal.value.where


def test_a_truncated_file_is_refused_by_name(logs_uri, spec):
    path = Path(logs_uri) / f"date={FIRST}" / "part-0.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Refusal, match="not whole Parquet") as refusal:
        logs.find(data_of(logs_uri, spec), [FIRST])
    assert str(path) in refusal.value.where


def test_a_damaged_page_under_a_whole_footer_is_refused_when_it_is_read(logs_uri, spec):
    path = Path(logs_uri) / f"date={FIRST}" / "part-0.parquet"
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(0).dictionary_page_offset or 4
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(bytes(content))
    (part,) = logs.find(data_of(logs_uri, spec), [FIRST]).parts(100)
    with pytest.raises(Refusal, match="row group 0"):
        list(logs.read_part(part, spec.columns))


def test_fewer_rows_than_the_footer_promises_are_refused_and_not_taken_for_all(tmp_path):
    tags = pa.table({"tags": pa.array([None], pa.list_(pa.string()))})
    path = tmp_path / "part-0.parquet"
    pq.write_table(tags, path, data_page_size=1)  # of which Arrow reads no row back, and says nothing
    with pytest.raises(Refusal, match="0 rows where its footer says 1"):
        list(logs.read_part(Part(FIRST, 0, ((path.as_uri(), 0),)), ["tags"]))


def test_a_bit_that_changed_in_a_page_is_refused_with_its_row_group_where_the_page_has_a_checksum(logs_uri, spec):
    path = Path(logs_uri) / f"date={FIRST}" / "part-0.parquet"
    how = {"compression": "none", "use_dictionary": False, "row_group_size": 4}
    for has_checksums in (False, True):
        pq.write_table(click_rows(), path, write_page_checksum=has_checksums, **how)
        content = bytearray(path.read_bytes())
        of_price = pq.ParquetFile(path).metadata.row_group(1).column(6)
        content[of_price.data_page_offset + of_price.total_compressed_size - 3] ^= 1
        path.write_bytes(bytes(content))
        (part,) = logs.find(data_of(logs_uri, spec), [FIRST]).parts(100)
        if not has_checksums:
            assert len(list(logs.read_part(part, spec.columns))) == 2, "nobody can tell"
            continue
        with pytest.raises(Refusal, match=r"CRC checksum[\s\S]*part-0\.parquet, row group 1"):
            list(logs.read_part(part, spec.columns))


def test_a_day_that_is_not_there_is_refused(logs_uri, spec):
    with pytest.raises(Refusal, match="no such day"):
        logs.find(data_of(logs_uri, spec), [date(2026, 12, 24)])


def test_a_column_that_appears_mid_log_is_refused_or_told_and_left_aside(logs_uri, spec, caplog):
    days = logs.days_of(data_of(logs_uri, spec))
    before = logs.find(data_of(logs_uri, spec, unknown_columns="warn"), days[:2])
    assert before.unknown_columns == ()
    for day in days[1:]:
        rows = click_rows().append_column("new to the log", click_rows()["age"])
        write_day(Path(logs_uri), day, rows)
    with pytest.raises(Refusal, match=r"does not know: 'new to the log'[\s\S]*data.unknown_columns to warn"):
        logs.find(data_of(logs_uri, spec), days)
    found = logs.find(data_of(logs_uri, spec, unknown_columns="warn"), days)
    assert [(one.day, one.name) for one in found.unknown_columns] == [(day, "new to the log") for day in days[1:]]
    assert found.of_days(days[:1]).unknown_columns == ()
    told = f"columns that the feature spec does not know, and that are not read: 'new to the log' (since {days[1]})"
    assert [record.getMessage() for record in caplog.records] == [f"of the log, {told}"]
    logs.find(data_of(logs_uri, spec, unknown_columns="warn"), days)
    assert len(caplog.records) == 1, "said once"
    assert logs.find(data_of(logs_uri, spec), days, known=["new to the log"]) == replace(found, unknown_columns=())
    assert logs.find(data_of(logs_uri, spec), days, labelled=False).fingerprint == found.fingerprint


def test_a_column_that_is_gone_stays_refused_whatever_is_done_about_new_ones(logs_uri, spec):
    write_day(Path(logs_uri), FIRST, click_rows().rename_columns({"age": "aged"}))
    with pytest.raises(Refusal, match="perhaps it was renamed to 'aged'"):
        logs.find(data_of(logs_uri, spec, unknown_columns="warn"), [FIRST])


def test_a_null_among_lists_of_a_fixed_size_is_refused_as_what_it_is(logs_uri, spec):
    def part_with(tags: list[list[str | None] | None]) -> Part:
        rows, column = click_rows(), pa.array(tags, pa.list_(pa.string(), 2))
        write_day(Path(logs_uri), FIRST, rows.set_column(rows.column_names.index("tags"), "tags", column))
        (part,) = logs.find(data_of(logs_uri, spec), [FIRST]).parts(100)
        return part

    whole = part_with([["a", "b"], ["a", None]] * 4)
    assert sum(len(table) for table, _ in logs.read_part(whole, spec.columns)) == 8
    part = part_with([["a", "b"], None] * 4)
    with pytest.raises(Refusal, match=r"a null among lists of a fixed size, .* in column 'tags'") as refused:
        list(logs.read_part(part, spec.columns))
    assert refused.value.where.endswith("part-0.parquet, row group 0")
    assert "cast it to pyarrow.list_" in refused.value.remedy
    assert sum(len(table) for table, _ in logs.read_part(part, ["age"])) == 8


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), FileNotFoundError("clicks/part-0.parquet")])
def test_a_file_that_is_gone_since_it_was_listed_is_told_as_gone_on_disks_and_in_buckets(error):
    refusal = unreadable("s3://clicks/part-0.parquet, row group 0", error)
    assert refusal.found.startswith("no file, which was there when the log was listed; on the node ")
    assert refusal.where == "s3://clicks/part-0.parquet, row group 0"
    assert "not whole Parquet" not in str(refusal)
