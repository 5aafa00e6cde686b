"""The same of a log behind S3, which has keys and no folders, and whose client keeps what it has listed."""

import io
import uuid
from collections.abc import Callable
from datetime import date

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, data_of

from pipeline.data import logs
from pipeline.runtime import files
from schemas.errors import Refusal
from schemas.features import FeatureSpec

FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
pytestmark = pytest.mark.slow
Put = Callable[[str, bytes], None]


def parquet(first_row: int = 0, day: date | None = None, *, statistics: bool = True) -> bytes:
    rows, stream = click_rows(first_row), io.BytesIO()
    if day:
        rows = rows.append_column("date", pa.array([str(day)] * len(rows)))
    pq.write_table(rows, stream, write_statistics=statistics)
    return stream.getvalue()


@pytest.fixture
def log(bucket: str) -> str:
    return f"{bucket}/{uuid.uuid4().hex[:8]}/logs"


@pytest.fixture
def put(log: str) -> Put:
    """Writes an object of the log by another client than the log's reader; the first day has a file already."""
    client, (name, _, prefix) = boto3.client("s3"), log.removeprefix("s3://").partition("/")

    def put(key: str, content: bytes) -> None:
        client.put_object(Bucket=name, Key=f"{prefix}/{key}", Body=content)

    put(f"date={FIRST}/part-0.parquet", parquet())
    return put


def found(log: str, spec: FeatureSpec) -> logs.Manifest:
    return logs.find(data_of(log, spec), logs.days_of(data_of(log, spec)))


def read(log: str, spec: FeatureSpec) -> None:
    for part in found(log, spec).parts(100):
        list(logs.read_part(part, spec.columns))


def refusal_of(log: str, spec: FeatureSpec) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        read(log, spec)
    return refusal.value


def test_each_look_sees_what_others_have_written_since_the_last(log, spec, put):
    first = found(log, spec)
    put(f"date={SECOND}/part-0.parquet", parquet(8))
    second = found(log, spec)
    put(f"date={FIRST}/part-1.parquet", parquet(16))
    third = found(log, spec)
    put(f"date={FIRST}/part-0.parquet", parquet(24))
    rewritten = found(log, spec)
    put(f"date={FIRST}/part-0.parquet", parquet(24, FIRST))
    grown = found(log, spec)
    assert [len(one.files) for one in (first, second, third, rewritten, grown)] == [1, 2, 3, 3, 3]
    assert len({one.fingerprint for one in (first, second, third, rewritten, grown)}) == 5
    assert second.days == (FIRST, SECOND)
    (part,) = grown.of_days([FIRST]).parts(100)
    rows = [row for table, _ in logs.read_part(part, ["row"]) for row in table["row"].to_pylist()]
    assert rows == [*range(24, 32), *range(16, 24)]


def test_a_day_that_was_looked_at_is_seen_to_become_complete(log, spec, put):
    found(log, spec)
    assert not files.is_complete(f"{log}/date={FIRST}")
    put(f"date={FIRST}/_SUCCESS", b"")
    logs.days_of(data_of(log, spec))
    assert files.is_complete(f"{log}/date={FIRST}")


def test_what_holds_no_rows_is_left_aside(log, spec, put):
    before = found(log, spec)
    for key in ("", f"date={FIRST}/", f"date={FIRST}/x_$folder$", f"date={FIRST}/_SUCCESS", f"date={FIRST}", "d/"):
        put(key, b"")
    put("date=2026-11-09_$folder$", b"")
    put("date=__HIVE_DEFAULT_PARTITION__/part-0.parquet", parquet())
    put(f"date={FIRST}/manifest.json", b'{"parts": 1}')
    put(f"date={FIRST}/hour=03/", b"")
    manifest = found(log, spec)
    assert manifest.to_json() == before.to_json()
    names = {one.uri.removeprefix(f"{log}/"): one.reason for one in manifest.left_aside}
    assert names == {
        f"date={FIRST}/": "zero bytes",
        f"date={FIRST}/x_$folder$": "zero bytes",
        f"date={FIRST}/manifest.json": "not Parquet",
        f"date={FIRST}/hour=03": "an empty folder",
        "date=2026-11-09_$folder$": "zero bytes",
        "date=__HIVE_DEFAULT_PARTITION__": "rows without a day",
    }


def test_hours_are_listed_in_a_bucket_with_its_markers_and_without(log, put):
    data = data_of(log, partitioning={"by": "path", "path": "date=YYYY-MM-DD/hour=HH"})
    put(f"date={SECOND}/hour=03/part-0.parquet", parquet(8))
    put(f"date={SECOND}/hour=3_$folder$", b"")
    for key in (f"date={SECOND}", f"date={SECOND}/", f"date={SECOND}/hour=03/", f"date={SECOND}/hour=04/_SUCCESS"):
        put(key, b"")
    manifest = logs.find(data, [SECOND])
    assert [file.uri for file in manifest.files] == [f"{log}/date={SECOND}/hour=03/part-0.parquet"]
    (missing,) = manifest.missing_hours
    assert missing.hours == (0, 1, 2, *range(5, 24))
    with pytest.raises(Refusal, match=r"part-0.parquet, which holds rows, beside folders hour=HH"):
        logs.find(data, [FIRST])


def test_days_of_a_column_are_read_of_a_bucket_and_seen_anew(log, put):
    def timed(day: date) -> bytes:
        rows, stream = click_rows().append_column("ts", pa.array([day] * 8)), io.BytesIO()
        pq.write_table(rows, stream)
        return stream.getvalue()

    data = data_of(log, partitioning={"by": "column", "column": "ts"})
    put(f"date={FIRST}/part-0.parquet", timed(FIRST))
    assert logs.days_of(data) == [FIRST]
    put("later/part-0.parquet", timed(SECOND))
    assert logs.days_of(data) == [FIRST, SECOND]
    (part,) = logs.find(data, [SECOND]).parts(100)
    assert [len(table) for table, _ in logs.read_part(part, ["row"])] == [8]


def test_a_folder_without_files_is_a_day_without_rows(log, spec, put):
    put(f"date={SECOND}/", b"")
    assert "a day without files" in refusal_of(log, spec).found


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("date=20261101/part-0.parquet", parquet(), "a partition named '20261101'"),
        (f"date={FIRST}/hour=03/part-0.parquet", parquet(), "hour=03/"),
        ("_delta_log/00000000000000000000.json", b"{}", "Delta Lake"),
        ("metadata/00000-6c1f.metadata.json", b"{}", "Iceberg"),
        (f"date={FIRST}/.hoodie/hoodie.properties", b"{}", "Hudi"),
        (f"date={FIRST}/000000_0", parquet()[:-20], "not whole Parquet"),
        (f"date={FIRST}/part-1.parquet", parquet(8, SECOND), "2026-11-02 in column 'date'"),
        (f"date={FIRST}/part-1.parquet", parquet(8, SECOND, statistics=False), "2026-11-02 in column 'date'"),
    ],
)
def test_what_would_lose_or_repeat_rows_is_refused(log, spec, put, key, content, words):
    put(key, content)
    assert words in refusal_of(log, spec).found
