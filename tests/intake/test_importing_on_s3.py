"""An import out of a bucket into one, where nothing is moved and a folder is a part of a key."""

import gzip
import uuid
from datetime import date

import fsspec
import pyarrow.parquet as pq
import pytest
from log_files import FIRST_DAY, criteo_line

from pipeline.intake.days import by_files
from pipeline.intake.formats.criteo import Criteo
from pipeline.intake.importing import Import, Outcome, run
from pipeline.intake.sources import find
from pipeline.runtime import files
from schemas.errors import Refusal

pytestmark = pytest.mark.slow
LINES = [criteo_line(number % 2, [number] * 13) for number in range(300)]


@pytest.fixture
def place(bucket: str) -> str:
    return f"{bucket}/{uuid.uuid4().hex[:8]}"


def imported(source: str, logs: str, rows_per_day: int | None = 100, *, overwrite: bool = False) -> Outcome:
    sources = tuple(find([source]))
    days = tuple(by_files(sources, FIRST_DAY, rows_per_day))
    return run(Import(Criteo(), sources, logs, days, overwrite=overwrite), lambda event: None)


def ids(logs: str, day: int) -> list[int]:
    (name,) = fsspec.filesystem("s3").glob(f"{logs}/date={date(2026, 11, day)}/*.parquet")
    with fsspec.open(f"s3://{name}", "rb") as stream:
        return pq.read_table(stream)["row_id"].to_pylist()


def test_an_import_into_a_bucket_is_what_it_is_on_a_disk(place):
    files.write_bytes(f"{place}/train.gz", gzip.compress("\n".join(LINES).encode()))
    logs = f"{place}/logs"
    assert imported(f"{place}/train.gz", logs).rows == {f"2026-11-0{day}": 100 for day in (1, 2, 3)}
    assert ids(logs, 2) == list(range(101, 201))
    assert imported(f"{place}/train.gz", logs).was_there
    assert files.folders(logs) == ["_imports", "date=2026-11-01", "date=2026-11-02", "date=2026-11-03"]


def test_rows_of_another_source_are_refused_in_a_bucket_unless_they_are_to_replace(place):
    files.write_bytes(f"{place}/train.txt", "\n".join(LINES).encode())
    files.write_bytes(f"{place}/other.txt", "\n".join(LINES[:30]).encode())
    logs = f"{place}/logs"
    imported(f"{place}/train.txt", logs)
    with pytest.raises(Refusal, match="2026-11-01, which another import has written"):
        imported(f"{place}/other.txt", logs)
    assert files.folders(logs) == ["_imports", "date=2026-11-01", "date=2026-11-02", "date=2026-11-03"]
    imported(f"{place}/other.txt", logs, overwrite=True)
    assert ids(logs, 1) == list(range(1, 31))


def test_a_day_that_was_cut_short_while_it_was_copied_is_concluded(place, monkeypatch):
    files.write_bytes(f"{place}/train.txt", "\n".join(LINES).encode())
    logs, (fs, _) = f"{place}/logs", fsspec.core.url_to_fs(place)
    copy = fs.cp_file

    def breaks(path, *arguments, **options):
        if path.endswith("date=2026-11-02/_SUCCESS"):
            raise OSError("the connection is gone")
        return copy(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "cp_file", breaks)
        with pytest.raises(OSError, match="gone"):
            imported(f"{place}/train.txt", logs)
    assert not files.exists(f"{logs}/date=2026-11-02/_SUCCESS")
    assert imported(f"{place}/train.txt", logs).rows == {f"2026-11-0{day}": 100 for day in (1, 2, 3)}
    assert [ids(logs, day)[0] for day in (1, 2, 3)] == [1, 101, 201]
    assert files.folders(logs) == ["_imports", "date=2026-11-01", "date=2026-11-02", "date=2026-11-03"]
