import pyarrow.parquet as pq
import pytest
from command import nightjar
from log_files import AVAZU_HEADER, avazu_line, criteo_line, write

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
    first, _, last = done.stdout.splitlines()
    assert first.startswith("800 rows of 4 days, ")
    assert last == f"  nightjar train --config data/{name}.yaml"
    config = load(TrainConfig, tmp_path / f"data/{name}.yaml")
    assert config.data.logs_uri == str(tmp_path / "data/logs")
    (part, *_) = (tmp_path / "data/logs").rglob("*.parquet")
    assert set(pq.read_schema(part).names) == {*config.data.features.columns}


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


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", OPTIONS)
def test_the_config_of_an_import_trains_as_it_stands(tmp_path, monkeypatch, name):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    nightjar("import", name, str(source(tmp_path, name)), *OPTIONS[name], "--out", "logs", cwd=tmp_path)
    done = nightjar("train", "--config", f"{name}.yaml", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert f"models:/{name}/1" in done.stdout


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
        (("csv", "2026-02-31.csv", "--out", "logs"), "2026-02-31.csv, whose name tells no day", "rename"),
    ],
)
def test_an_import_that_cannot_be_is_refused_before_anything_is_written(tmp_path, session, arguments, found, remedy):
    (session.folder / "folder").mkdir()
    write(session.folder / "empty.txt", [])
    for name in ("one.txt", "day_0"):
        write(session.folder / name, [criteo_line()])
    for name in ("one.csv", "2026-02-31.csv"):
        write(session.folder / name, ["id,time", "1,2026-11-01"])
    before = sorted(session.folder.rglob("*"))
    message = session.refused("import", *arguments)
    assert found in message["found"]
    assert remedy in message["remedy"]
    assert sorted(session.folder.rglob("*")) == before
