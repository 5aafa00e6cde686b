"""Logs that `nightjar init` can make no config of, and names that no config has: four lines, and nothing is written."""

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import click_rows, write_day
from session import Session


def without_label(folder: Path) -> None:
    write_day(folder / "logs", date(2026, 11, 1), click_rows().drop_columns(["click"]))


def of_words(folder: Path) -> None:
    rows = click_rows()
    words = np.where(rows["click"].to_numpy() == 1, "yes", "no")
    index = rows.column_names.index("click")
    write_day(folder / "logs", date(2026, 11, 1), rows.set_column(index, "click", pa.array(words)))


def of_no_day(folder: Path) -> None:
    path = folder / "logs" / "part=7" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.concat_tables([click_rows()] * 100), path)


def with_text_times(folder: Path) -> None:
    of_no_day(folder)
    rows = pa.concat_tables([click_rows()] * 100)
    path = folder / "logs" / "part=7" / "a.parquet"
    pq.write_table(rows.append_column("time", [["2026-11-01 10:00:00"] * 800]), path)


def delta(folder: Path) -> None:
    (folder / "logs" / "_delta_log").mkdir(parents=True)


def nothing(folder: Path) -> None:
    pass


def of_csv(content: bytes, name: str = "c.csv") -> Callable[[Path], int]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("write", "uri", "found", "remedy"),
    [
        (without_label, "logs", "no column that is called like a label", "--label COLUMN"),
        (of_words, "logs", "column 'click', string of 2 values", "pyarrow.compute.equal(table['click'], 'yes')"),
        (of_no_day, "logs", "no folder whose name tells a day, and no column of times", "holds out a fifth"),
        (with_text_times, "logs", "no folder whose name tells a day", "write 'time' as timestamps"),
        (delta, "logs", "a Delta Lake table", "plain Parquet"),
        (lambda folder: (folder / "logs").mkdir(), "logs", "a folder without files", "holds the log"),
        (nothing, "logs", "nothing of that name", "correct the path"),
        (nothing, "s3://", "s3://", "bucket"),
        (nothing, "memory://logs", "no other process", "all processes"),
        (of_csv(b""), "c.csv", "an empty file", "write it again"),
        (of_csv(b"a,click\n\xff,1\n"), "c.csv", "a is not UTF-8", "nightjar import"),
        (of_csv(b"a,click\nx,1,2\n"), "c.csv", "3 columns, where 2 are expected", "nightjar import"),
        (of_csv(b"a,click\n"), "c.csv", "no rows in 1 file", "holds the log's rows"),
        (of_csv(gzip.compress(b"a,click\nx,1\n")), "c.csv", "by its first bytes gzip", ".gz"),
        (of_csv(gzip.compress(b"a,click\nx,1\n")[:-9], "c.csv.gz"), "c.csv.gz", "cannot be unpacked", "fetch"),
        (of_csv(b"a,click\nx,1\n", "c.csv.gz"), "c.csv.gz", "cannot be unpacked", "without the ending"),
        (of_csv(b"PAR1", "c.parquet"), "c.parquet", "not whole Parquet", "write the file again"),
        (nothing, "", "''", "./"),
        (nothing, "ftps://logs", "Protocol not known: ftps", "correct the URI"),
    ],
    ids=[
        *("no-label", "words", "no-day", "texts", "delta", "empty-folder", "missing", "no-bucket", "memory"),
        *("empty-file", "encoding", "columns", "header-alone", "packed", "cut", "not-packed", "half-parquet"),
        *("no-name", "no-protocol"),
    ],
)
def test_a_log_that_no_config_can_be_made_of_is_refused_and_nothing_is_written(tmp_path, write, uri, found, remedy):
    write(tmp_path)
    message = Session(tmp_path).refused("init", uri, "--out", "my.yaml")
    assert found in message["found"]
    assert remedy in message["remedy"]
    assert set(message) == {"found", "expected", "where", "remedy"}
    assert [path.name for path in tmp_path.iterdir() if "my" in path.name] == []


OTHER_FILE = "logs/date=2026-11-01/part-0.parquet"


@pytest.mark.parametrize(
    "out", ["my.json", "my", ".", "logs/date=2026-11-01", "a\nb.yaml", f"{OTHER_FILE}/my.yaml", "/proc/my.yaml"]
)
def test_a_name_that_no_config_has_is_refused(tmp_path, out):
    write_day(tmp_path / "logs", date(2026, 11, 1), click_rows())
    message = Session(tmp_path).refused("init", "logs", "--out", out)
    assert message["where"] == "--out"


def test_a_folder_is_not_replaced_by_a_config(tmp_path):
    write_day(tmp_path / "logs", date(2026, 11, 1), click_rows())
    (tmp_path / "my_features.yaml").mkdir()
    message = Session(tmp_path).refused("init", "logs", "--out", "my.yaml", "--force")
    assert message["found"] == f"a folder, {tmp_path / 'my_features.yaml'}"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--label", "nope"), "no column 'nope'"),
        (("--label", ""), "no column ''"),
        (("--row-key", "nope"), "no column 'nope'"),
        (("--group", "nope"), "no column 'nope'"),
        (("--ignore", "nope"), "no column 'nope'"),
        (("--ignore", "click"), "no column that is called like a label"),
        (("--timezone", "Mars/Base"), "'Mars/Base'"),
        (("--timezone", ""), "''"),
    ],
)
def test_what_is_said_of_a_log_that_does_not_fit_it_is_refused(tmp_path, options, found):
    write_day(tmp_path / "logs", date(2026, 11, 1), click_rows())
    message = Session(tmp_path).refused("init", "logs", "--out", "my.yaml", *options)
    assert found in message["found"]
    assert list(tmp_path.glob("my*")) == []
