"""MLflow's SQLite file comes into being whole, and what is no such file is refused at once."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import forked
import pytest
from disks import permissions_bind
from mlflow import MlflowClient

from pipeline.registry import database, server, tracking
from schemas.config import MLflowConfig
from schemas.errors import Refusal

MEGABYTE = 2**20
slow = pytest.mark.slow
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "work"


def reach(work: Path) -> tuple[str, str]:
    return server.reach(MLflowConfig(), str(work))


def killed_at(size: int, path: Path, target: object, *arguments: object) -> None:
    """Call it in a process of its own, which SIGKILL ends when the file's log of changes has come to that size."""
    log = path.with_name(f"{path.name}-wal")
    process = forked.forks().Process(target=target, args=arguments)
    process.start()
    while process.is_alive() and not (log.exists() and log.stat().st_size >= size):
        time.sleep(0.001)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it was still at work"


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as opened:
        return {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def experiments(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM experiments ORDER BY experiment_id")]


@slow
def test_a_kill_while_the_database_is_made_leaves_nothing_that_the_next_call_trips_over(work):
    path, waiting = work / "mlflow.db", work / ".mlflow.db.new"
    for size in (0, 2 * MEGABYTE):
        killed_at(size, waiting, server.reach, MLflowConfig(), str(work))
        assert not path.exists()
        assert database.state_of(path) == "missing"
    uri, _ = reach(work)
    assert [one.name for one in MlflowClient(uri).search_experiments()] == ["nightjar", "Default"]
    assert {one.name for one in work.iterdir() if one.suffix not in (".db-wal", ".db-shm")} == {"mlflow.db"}


@slow
@pytest.mark.parametrize("size", [0, 2 * MEGABYTE])
def test_a_database_that_an_earlier_kill_has_left_half_migrated_is_made_again(work, caplog, size):
    path = work / "mlflow.db"
    work.mkdir()
    with closing(sqlite3.connect(path)) as begun:
        begun.execute("PRAGMA journal_mode=WAL")
    if size:
        killed_at(size, path, MlflowClient, f"sqlite:///{path}")
        assert "experiments" in tables(path)
    assert tracking.find(MLflowConfig(), str(work)) is None, "for who only reads there is none"
    uri, _ = reach(work)
    assert "was left unfinished, without a run, and is made again" in caplog.text
    assert uri == f"sqlite:///{path}"
    assert experiments(path) == ["Default", "nightjar"]


@slow
def test_two_processes_that_make_it_at_once_end_up_with_one(work):
    both = [forked.forks().Process(target=server.reach, args=(MLflowConfig(), str(work))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert experiments(work / "mlflow.db") == ["Default", "nightjar"]


@slow
def test_an_unfinished_database_that_another_process_has_open_is_left_to_it(work):
    work.mkdir()
    with closing(sqlite3.connect(work / "mlflow.db")) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE experiments (name TEXT)")
        with pytest.raises(Refusal, match="which another process has open"):
            reach(work)
        assert other.execute("SELECT name FROM experiments").fetchall() == []


@slow
def test_a_database_of_another_mlflow_is_neither_migrated_nor_read(work):
    path = work / "mlflow.db"
    reach(work)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = '0a1b2c'")
        opened.execute("DROP TABLE webhooks")
    before = tables(path)
    for ask in (server.reach, server.find):
        with pytest.raises(Refusal, match="tables of another MLflow, version 0a1b2c") as refused:
            ask(MLflowConfig(), str(work))
        assert f"mlflow db upgrade sqlite:///{path}" in refused.value.remedy
    assert tables(path) == before


def unusable(folder: Path) -> Iterator[tuple[str, str]]:
    """Path of a tracking URI, and what is found."""
    (folder / "file").touch()
    (folder / "text.db").write_text("a text, and no database of any kind")
    with closing(sqlite3.connect(folder / "shop.db")) as other, other:
        other.execute("CREATE TABLE orders (number INT)")
        other.execute("INSERT INTO orders VALUES (7)")
    yield f"{folder}/text.db", "file is not a database"
    yield f"{folder}/shop.db", "no such table: alembic_version"
    yield f"{folder}", f"a folder, {folder}"
    yield f"{folder}/file/mlflow.db", f"a file, {folder}/file"


def test_a_path_that_can_hold_no_database_is_refused_at_once(tmp_path):
    began, before = time.monotonic(), set(tmp_path.rglob("*"))
    for path, found in unusable(tmp_path):
        before |= set(tmp_path.rglob("*"))
        with pytest.raises(Refusal, match=found):
            server.reach(MLflowConfig(tracking_uri=f"sqlite:///{path}"), str(tmp_path / "work"))
    assert set(tmp_path.rglob("*")) == before
    assert time.monotonic() - began < 10, "MLflow itself tries for 40 seconds"


def test_a_folder_that_may_not_be_written_to_is_refused_at_once(tmp_path):
    (tmp_path / "empty.db").touch()
    tmp_path.chmod(0o555)
    with permissions_bind():
        for name in ("new.db", "empty.db", "deeper/new.db"):
            with pytest.raises(Refusal, match="which you may not write to"):
                server.reach(MLflowConfig(tracking_uri=f"sqlite:///{tmp_path}/{name}"), str(tmp_path))
    tmp_path.chmod(0o755)


def test_who_only_reads_makes_no_database(work):
    assert tracking.find(MLflowConfig(), str(work)) is None
    with pytest.raises(Refusal) as refused:
        tracking.require(MLflowConfig(), str(work))
    assert refused.value.found == f"no runs and no models: there is no database sqlite:///{work}/mlflow.db"
    assert not work.exists()
