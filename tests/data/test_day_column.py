"""A column of the file that is named like the partition, beside the day that the path says."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, data_of

from pipeline.data import logs
from pipeline.data.logs import Manifest
from schemas.errors import Refusal
from schemas.features import FeatureSpec

FIRST, OTHER = date(2026, 11, 1), date(2026, 10, 31)


def text(day: date) -> object:
    return str(day)


def itself(day: date) -> object:
    return day


def noon(day: date) -> object:
    return datetime(day.year, day.month, day.day, 12)


def number(day: date) -> object:
    return int(f"{day:%Y%m%d}")


of_each_type = pytest.mark.parametrize(
    ("value", "kind"),
    [
        (text, pa.string()),
        (text, pa.large_string()),
        (text, pa.dictionary(pa.int32(), pa.string())),
        (itself, pa.date32()),
        (itself, pa.date64()),
        (noon, pa.timestamp("s")),
        (noon, pa.timestamp("us", "Europe/Berlin")),
        (noon, pa.timestamp("ns")),
        (number, pa.int32()),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),  # the same in each process
)
with_and_without_statistics = pytest.mark.parametrize("statistics", [True, False], ids=["statistics", "none"])


def write(folder: Path, values: list[object], kind: pa.DataType, statistics: bool) -> str:
    """A log of one day, in two row groups, with a column `date`."""
    path = folder / f"date={FIRST}" / "part-0.parquet"
    path.parent.mkdir()
    rows = click_rows().append_column("date", pa.array(values, kind))
    pq.write_table(rows, path, row_group_size=4, write_statistics=statistics)
    return str(folder)


def read(manifest: Manifest, spec: FeatureSpec) -> list[pa.Table]:
    return [table for part in manifest.parts(4) for table, _ in logs.read_part(part, spec.columns)]


@of_each_type
@with_and_without_statistics
def test_the_path_s_day_is_no_news(tmp_path, spec, value, kind, statistics):
    uri = write(tmp_path, [value(FIRST)] * 7 + [None], kind, statistics)
    manifest = logs.find(data_of(uri, spec), [FIRST])
    assert (manifest.unproven_column is None) is statistics
    assert [table.num_rows for table in read(manifest, spec)] == [4, 4]
    assert "date" not in read(manifest, spec)[0].column_names


@of_each_type
@with_and_without_statistics
def test_another_day_than_the_path_s_is_refused_with_both(tmp_path, spec, value, kind, statistics):
    uri = write(tmp_path, [value(FIRST)] * 6 + [value(OTHER)] * 2, kind, statistics)
    with pytest.raises(Refusal) as refusal:
        read(logs.find(data_of(uri, spec), [FIRST]), spec)
    assert f"{value(OTHER)}"[:10].replace("-", "") in refusal.value.found.replace("-", "")
    assert str(FIRST) in refusal.value.expected
    assert refusal.value.where.endswith("part-0.parquet, row group 1, column 'date'")


def test_statistics_tell_before_anything_is_read(tmp_path, spec):
    uri = write(tmp_path, [str(OTHER)] * 8, pa.string(), statistics=True)
    with pytest.raises(Refusal, match="2026-10-31"):
        logs.find(data_of(uri, spec), [FIRST])


@with_and_without_statistics
def test_a_time_counts_by_its_day_in_its_own_zone(tmp_path, spec, statistics):
    late = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    uri = write(tmp_path, [late] * 8, pa.timestamp("us", "Europe/Berlin"), statistics)
    assert len(read(logs.find(data_of(uri, spec), [FIRST]), spec)) == 2


def test_who_asks_for_the_column_gets_it(tmp_path, spec):
    uri = write(tmp_path, [str(FIRST)] * 8, pa.string(), statistics=False)
    (part,) = logs.find(data_of(uri, spec), [FIRST]).parts(100)
    assert [table.column_names for table, _ in logs.read_part(part, ["row", "date"])] == [["row", "date"]] * 2


def test_a_column_that_can_be_no_day_is_refused(tmp_path, spec):
    uri = write(tmp_path, [1.5] * 8, pa.float64(), statistics=True)
    with pytest.raises(Refusal, match="type double, named like the partition"):
        logs.find(data_of(uri, spec), [FIRST])


@pytest.mark.parametrize("labelled", [True, False])
def test_two_columns_of_one_name_are_refused(tmp_path, spec, labelled):
    uri = write(tmp_path, [str(FIRST)] * 8, pa.string(), statistics=True)
    path = next(Path(uri).glob("*/*"))
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.append_column("age", rows["age"]), path)
    with pytest.raises(Refusal) as refusal:
        logs.find(data_of(uri, spec), [FIRST], labelled=labelled)
    assert refusal.value.found == "2 columns named 'age'"
    assert refusal.value.where.endswith("part-0.parquet")
