"""MLflow's SQLite file: made whole or not at all, and looked at before MLflow opens it, which makes or migrates one.

Its hundreds of migrations take half a second, and a kill among them leaves what neither they nor MLflow can go on with.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from pipeline.runtime import files
from schemas.errors import Refusal

State = Literal["missing", "unfinished", "whole"]
OF_MIGRATIONS = {"alembic_version", "workspaces"}  # tables that hold rows before anybody has recorded anything
COMPANIONS = ("-wal", "-shm")
PATIENCE_SECONDS = 20  # with another process that writes; MLflow has the same
WHERE = "work_uri, mlflow.tracking_uri or MLFLOW_TRACKING_URI"
logger = logging.getLogger(__name__)


def state_of(path: Path) -> State:
    """What lies at the path; `unfinished` holds no experiment yet. Nothing is made or migrated.

    Raises Refusal for what MLflow could not open, which it would try for most of a minute.
    """
    if not path.exists():
        return "missing"
    if path.is_dir():
        raise _unusable(f"a folder, {path}", "the name of a file")
    _require_writable(path.parent)
    try:
        with closing(_connect(path)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            names = {str(name) for (name,) in found} - OF_MIGRATIONS
            has_rows = any(database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in names)  # noqa: S608
            versions = {str(one) for (one,) in database.execute("SELECT * FROM alembic_version")} if has_rows else set()
    except sqlite3.DatabaseError as error:
        raise _unusable(f"{path}: {error}", "a database that MLflow has made") from error
    if has_rows:
        _require_version(path, versions)
    return "whole" if has_rows else "unfinished"


def make(path: Path) -> None:
    """Make the database where there is none, and anew where one was left unfinished, holding nothing.

    Under another name first: a kill leaves that, which the next call removes. Of two processes the second waits.
    """
    files.require_usable(str(path.parent), WHERE)
    _require_writable(next(folder for folder in path.parents if folder.exists()))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent):
        state = state_of(path)
        if state == "whole":
            return
        if state == "unfinished":
            logger.warning("%s was left unfinished, without a run, and is made again", path)
            _require_unused(path)
        waiting = path.with_name(f".{path.name}.new")
        _remove(waiting)
        _migrate(waiting)
        _remove(path)
        waiting.rename(path)


def _connect(path: Path) -> sqlite3.Connection:
    """Of a file that is there, which is not to be made."""
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE_SECONDS)


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK, effective_ids=True):
        raise _unusable(f"{folder}, which you may not write to", "leave to: SQLite writes beside its file")


def _require_version(path: Path, versions: set[str]) -> None:
    """Raise Refusal for the tables of another MLflow, which ours would migrate where they are, without a copy."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    latest = _get_latest_schema_revision()
    if versions != {latest}:
        raise _unusable(
            f"{path} with tables of another MLflow, version {', '.join(sorted(versions)) or 'none'}",
            f"those of the MLflow that is installed here, version {latest}",
            f"copy the file, then: mlflow db upgrade sqlite:///{path}",
        )


def _require_unused(path: Path) -> None:
    """Raise Refusal where another process has it open, perhaps to finish it."""
    try:
        with closing(_connect(path)) as database:
            database.execute("PRAGMA journal_mode=DELETE")  # for which a file must be nobody else's
            database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise _unusable(
            f"{path} without a run, which another process has open",
            "a whole database",
            "wait for that process, or end it, and ask again",
        ) from error


def _migrate(path: Path) -> None:
    """A whole database with MLflow's first experiment, all of it in that one file, and on the disk."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # which stays
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _no_waiting_for_the_disk():
        store = SqlAlchemyStore(f"sqlite:///{path}", str(path.parent / "mlartifacts"))
    store.engine.dispose()
    SqlAlchemyStore._engine_map.pop(store.db_uri, None)
    with closing(_connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _no_waiting_for_the_disk() -> Iterator[None]:
    """For connections that are opened within: each migration would wait, though a file left half-made is made anew."""
    from sqlalchemy import event, pool

    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(pool.Pool, "connect", connected)
    try:
        yield
    finally:
        event.remove(pool.Pool, "connect", connected)


def _remove(path: Path) -> None:
    """Its companions first: beside another file of the name they would be taken for that one's."""
    for name in (*(f"{path.name}{companion}" for companion in COMPANIONS), path.name):
        path.with_name(name).unlink(missing_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other process is within on this machine; a killed one is no more."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems that lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unusable(found: str, expected: str, remedy: str = "name another file, or a server") -> Refusal:
    return Refusal(found=found, expected=expected, where=WHERE, remedy=remedy)
