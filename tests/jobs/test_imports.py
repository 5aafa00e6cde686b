import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from command import nightjar
from log_files import AVAZU_HEADER, avazu_line, criteo_line, write
from session import Session

from pipeline.intake import first_config
from pipeline.intake.formats.delimited import Delimited
from schemas.config import TrainConfig
from schemas.loading import load

BY_LINE = ("--first-day", "2026-11-01", "--rows-per-day", "200")
OPTIONS = {"criteo": BY_LINE, "avazu": (), "libsvm": BY_LINE, "libffm": BY_LINE}


def source(folder, name):
    """Four days of rows, of which every third one is a click."""
    if name == "criteo":
        lines = [criteo_line(int(i % 3 == 0), [i % 7, ""] * 6 + [i % 5], f"{i % 11:08x}") for i in range(800)]
        return write(folder / "train.txt", lines)
    if name == "libsvm":
        return write(folder / "clicks.svm", [f"{2 * (i % 3 == 0) - 1} {i % 5}:1 {i % 7}:1" for i in range(800)])
    if name == "libffm":
        return write(folder / "clicks.ffm", [f"{int(i % 3 == 0)} 0:{i % 5}:1 1:9:{i % 7 / 2}" for i in range(800)])
    lines = [avazu_line(f"{i}", int(i % 3 == 0), f"1410{21 + i // 200}{i % 24:02}") for i in range(800)]
    return write(folder / "train.gz", [AVAZU_HEADER, *lines])


@pytest.mark.parametrize("name", OPTIONS)
def test_an_import_writes_a_config_that_is_right_and_says_what_comes_next(tmp_path, name):
    done = nightjar("import", name, str(source(tmp_path, name)), *OPTIONS[name], "--out", "data/logs", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    first, second, _, last = done.stdout.splitlines()
    assert first.startswith("800 rows of 4 days, ")
    assert second == f"data/{name}_features.yaml and data/{name}.yaml are written"
    assert last == f"  nightjar train --config data/{name}.yaml"
    config = load(TrainConfig, tmp_path / f"data/{name}.yaml")
    assert config.data.logs_uri == str(tmp_path / "data/logs")
    (part, *_) = (tmp_path / "data/logs").rglob("*.parquet")
    assert set(pq.read_schema(part).names) == {*config.data.features.columns}
    assert config.data.split.by == "random", "three days have 600 rows, and the gate asks for a thousand"
    assert config.cluster.num_workers == 0


def test_a_log_may_be_called_as_yaml_would_read_otherwise(tmp_path):
    file = source(tmp_path, "criteo")
    for name in ("2026", "my logs: all #1", "no"):
        done = nightjar("import", "criteo", str(file), *OPTIONS["criteo"], "--out", f"{name} in/{name}", cwd=tmp_path)
        assert done.exit_code == 0, done.stderr
        config = load(TrainConfig, tmp_path / f"{name} in/criteo.yaml")
        assert config.data.logs_uri == str(tmp_path / f"{name} in/{name}")


def test_a_config_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "criteo.yaml").write_text("mine")
    file = source(tmp_path, "criteo")
    done = nightjar("import", "criteo", str(file), *OPTIONS["criteo"], "--out", "logs", cwd=tmp_path)
    assert "criteo.yaml is there already and stays as it is" in done.stdout
    assert (tmp_path / "criteo.yaml").read_text() == "mine"
    again = nightjar("import", "criteo", str(file), *OPTIONS["criteo"], "--out", "logs", cwd=tmp_path)
    assert again.stdout.startswith("800 rows of 4 days, 2026-11-01 to 2026-11-04 is there already")


CSV = ["id,time,user,clicked", *(f"{i},2026-11-0{1 + i // 500}T12:00,u{i % 40},{i % 3 % 2}" for i in range(2000))]


def test_an_import_of_csv_writes_what_init_makes_of_it(tmp_path):
    write(tmp_path / "clicks.csv", CSV)
    done = nightjar("import", "csv", "clicks.csv", "--timestamp", "time", "--out", "logs", cwd=tmp_path)
    assert "logs_features.yaml and logs.yaml are written, guessed from the rows" in done.stdout, done.stderr
    assert nightjar("init", "logs", "--out", "my.yaml", cwd=tmp_path).exit_code == 0
    imported, looked_at = (load(TrainConfig, tmp_path / name) for name in ("logs.yaml", "my.yaml"))
    assert imported.data == looked_at.data
    assert imported.stages == looked_at.stages


def test_an_import_whose_label_nobody_could_guess_is_done_and_says_how_to_name_it(tmp_path):
    write(tmp_path / "clicks.csv", [CSV[0].replace("clicked", "flag"), *CSV[1:]])
    done = nightjar("import", "csv", "clicks.csv", "--timestamp", "time", "--out", "logs", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("2,000 rows of 4 days")
    assert "no column that is called like a label; of 0 and 1 flag" in done.stdout
    assert done.stdout.splitlines()[-1] == "  nightjar init logs --label COLUMN --out my.yaml"
    assert list(tmp_path.glob("*.yaml")) == []


@pytest.mark.parametrize(
    ("log", "expected"), [("/logs", "/logs.yaml"), ("/a/my_logs", "/a/my.yaml"), ("/a/_logs", "/a/_logs.yaml")]
)
def test_the_config_of_csv_is_called_as_its_log(log, expected):
    assert str(first_config.place_of(Delimited({}), log)) == expected


def test_where_nothing_can_be_written_beside_the_log_the_import_is_done_and_says_so(tmp_path, monkeypatch):
    write(tmp_path / "clicks.csv", CSV)
    monkeypatch.setattr(first_config, "place_of", lambda form, logs_uri: Path("/proc/logs.yaml"))
    done = nightjar("import", "csv", "clicks.csv", "--timestamp", "time", "--out", "logs", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "No config is written for it: a folder in which nothing can be written, /proc" in done.stdout


def test_what_init_wrote_for_csv_is_what_its_import_finds_there(tmp_path):
    write(tmp_path / "clicks.csv", CSV)
    assert nightjar("init", "clicks.csv", "--out", "my.yaml", cwd=tmp_path).exit_code == 0
    done = nightjar("import", "csv", "clicks.csv", "--timestamp", "time", "--out", "my_logs", cwd=tmp_path)
    assert "my.yaml is there already and stays as it is" in done.stdout
    assert done.stdout.endswith("train --config my.yaml\n")
    assert sorted(path.name for path in tmp_path.glob("*.yaml")) == ["my.yaml", "my_features.yaml"]


def timezone_of(folder, name):
    checked = nightjar("config", "check", name, cwd=folder)
    assert checked.exit_code == 0, checked.stderr
    return yaml.safe_load(checked.stdout.partition("\n\n")[0])["data"]["timezone"]


def test_days_that_were_imported_by_a_timezone_are_named_in_it_by_every_config(tmp_path):
    names, *rows = CSV
    write(tmp_path / "one.csv", [names, *(row.replace("T12:00", "T23:30Z") for row in rows)])
    write(tmp_path / "two.csv", [names, *(row.replace("2026-11-0", "2026-11-1") for row in rows)])
    by_time = ("--timestamp", "time", "--out", "logs")
    berlin = ("--timezone", "Europe/Berlin")
    assert nightjar("import", "csv", "one.csv", *by_time, *berlin, cwd=tmp_path).exit_code == 0
    assert nightjar("import", "csv", "two.csv", *by_time, cwd=tmp_path).exit_code == 0, "as the log has had it"
    assert nightjar("init", "logs", "--out", "my.yaml", cwd=tmp_path).exit_code == 0
    assert [timezone_of(tmp_path, name) for name in ("logs.yaml", "my.yaml")] == ["Europe/Berlin"] * 2
    write(tmp_path / "three.csv", [names, *(row.replace("2026-11-0", "2026-11-2") for row in rows)])
    assert nightjar("import", "csv", "three.csv", *by_time, "--timezone", "UTC", cwd=tmp_path).exit_code == 0
    message = Session(tmp_path).refused("init", "logs", "--out", "other.yaml")
    assert message["found"] == "imports by the days of several timezones: Europe/Berlin, UTC"
    assert nightjar("init", "logs", *berlin, "--out", "other.yaml", cwd=tmp_path).exit_code == 0
    assert timezone_of(tmp_path, "other.yaml") == "Europe/Berlin"


@pytest.mark.parametrize(
    ("arguments", "found", "remedy"),
    [
        (("criteo", "nowhere.txt", "--out", "logs"), "no such file or folder", "correct the name"),
        (("criteo", "empty.txt", "--out", "logs"), "an empty file", "leave it out"),
        (("criteo", "folder", "--out", "logs"), "a folder without files", "the files"),
        (("criteo", "one.txt", "--out", "logs"), "one.txt, whose name tells no day", "--rows-per-day"),
        (("criteo", "day_0", "--out", "logs"), "no --first-day", "--first-day 2026-11-01"),
        (("criteo", "one.txt", "--rows-per-day", "9", "--out", "logs"), "no --first-day", "--first-day"),
        (("criteo", "one.txt", "day_0", "--rows-per-day", "9", "--out", "logs"), "2 files, and --rows-per-day", "cat"),
        (("criteo", "one.txt", "one.txt", "--out", "logs"), "one.txt twice", "once"),
        (("criteo", "one.txt", "--out", "one.txt"), "a file, ", "another place"),
        (("csv", "one.csv", "--out", "logs"), "one.csv, whose name tells no day", "--first-day"),
        (("csv", "one.csv", "--timestamp", "when", "--out", "logs"), "no column 'when'", "correct the name"),
        (
            ("csv", "one.csv", "--timezone", "Europe/Bern", "--timestamp", "time", "--out", "logs"),
            "'Europe/Bern'",
            "mean",
        ),
        (("csv", "one.csv", "--type", "id=int", "--out", "logs"), "'id=int'", "--type zip=text"),
        (("csv", "one.csv", "--delimiter", "::", "--out", "logs"), "'::'", "the one that the files have"),
        (("csv", "one.csv", "--quote", "", "--out", "logs"), "''", "the one that the files have"),
        (("csv", "one.csv", "--delimiter", ";", "--quote", ";", "--out", "logs"), "';' for both", "--quote none"),
        (
            ("csv", "one.csv", "--timestamp", "time", "--label", "time", "--out", "logs"),
            "the label and the time in one column, 'time'",
            "--label",
        ),
        (
            ("criteo", "day_99999999999", "--first-day", "2026-11-01", "--out", "logs"),
            "a day 99,999,999,999 days after 2026-11-01",
            "the number in the file's name",
        ),
        (("libffm", "one.txt", "--fields", "10001", "--out", "logs"), "10,001 fields", "at most 10,000"),
        (("csv", "2026-02-31.csv", "--out", "logs"), "2026-02-31.csv, whose name tells no day", "rename"),
        (("csv", "", "--out", "logs"), "''", "./"),
        (("csv", "ftps://one.csv", "--out", "logs"), "Protocol not known: ftps", "correct the URI"),
        (("csv", "s3://", "--out", "logs"), "s3:// without a bucket", "name the bucket"),
        (("csv", "one.csv", "--timestamp", "time", "--out", ""), "''", "./"),
        (("csv", "one.csv", "--timestamp", "time", "--out", "/proc/logs"), "nothing can be written, /proc", "right"),
        (("csv", "one.csv", "--timestamp", "time", "--timezone", "", "--out", "logs"), "''", "List_of_tz"),
        (("csv", "header.csv", "--timestamp", "time", "--out", "logs"), "no rows", "hold rows"),
        (("csv", "moments.csv", "--timestamp", "time", "--out", "logs"), "line 2: time is 'yesterday'", "correct"),
        (
            ("csv", "one.csv", "--label", "clicked", "--timestamp", "time", "--out", "logs"),
            "no column 'clicked'",
            "name",
        ),
        (("csv", "bytes.csv", "--timestamp", "time", "--out", "logs"), "line 2: id is not UTF-8", "correct"),
        (("csv", "wide.csv", "--timestamp", "time", "--out", "logs"), "3 columns, where 2 are expected", "correct"),
        (("csv", "cut.csv.gz", "--timestamp", "time", "--out", "logs"), "cannot be unpacked: Truncated", "fetch"),
        (("csv", "not.csv.gz", "--timestamp", "time", "--out", "logs"), "cannot be unpacked", "without the ending"),
        (("csv", "packed.csv", "--timestamp", "time", "--out", "logs"), "by its first bytes gzip", ".gz"),
        (("csv", "rows.parquet", "--timestamp", "time", "--out", "logs"), "a Parquet file", "nightjar init"),
    ],
)
def test_an_import_that_cannot_be_is_refused_before_anything_is_written(tmp_path, session, arguments, found, remedy):
    (session.folder / "folder").mkdir()
    write(session.folder / "empty.txt", [])
    for name in ("one.txt", "day_0", "day_99999999999"):
        write(session.folder / name, [criteo_line()])
    for name in ("one.csv", "2026-02-31.csv"):
        write(session.folder / name, ["id,time", "1,2026-11-01"])
    write(session.folder / "header.csv", ["id,time"])
    write(session.folder / "moments.csv", ["id,time", "1,yesterday"])
    write(session.folder / "wide.csv", ["id,time", "1,2026-11-01,2"])
    write(session.folder / "bytes.csv", b"id,time\n\xff,2026-11-01\n")
    packed = gzip.compress(b"id,time\n" + b"1,2026-11-01\n" * 9)
    for name, content in {"packed.csv": packed, "cut.csv": packed[:-9], "not.csv": b"id,time\n1,2026-11-01\n"}.items():
        (session.folder / f"{name}{'.gz' * (name != 'packed.csv')}").write_bytes(content)
    pq.write_table(pa.table({"id": [1]}), session.folder / "rows.parquet")
    before = sorted(session.folder.rglob("*"))
    message = session.refused("import", *arguments)
    assert found in message["found"]
    assert remedy in message["remedy"]
    assert sorted(session.folder.rglob("*")) == before
