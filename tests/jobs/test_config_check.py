"""`nightjar config check`: what a config comes to, beforehand, and that nothing is left behind."""

import json
import sys
from datetime import date

import pytest
import yaml
from click_logs import click_rows, write_day, write_random_log
from command import nightjar
from session import Session

from schemas.config import TrainConfig
from schemas.loading import load


def test_a_check_shows_days_rows_ids_memory_and_disk_and_writes_nothing(session):
    before = {path: path.stat().st_mtime_ns for path in session.folder.rglob("*")}
    done = nightjar("config", "check", "train.yaml", cwd=session.folder)
    assert done.exit_code == 0, done.stderr
    resolved, _, words = done.stdout.partition("\n\n")
    assert yaml.safe_load(resolved) == load(TrainConfig, session.folder / "train.yaml").model_dump(mode="json") | {
        "stages": yaml.safe_load(resolved)["stages"]
    }
    assert yaml.safe_load(resolved)["stages"][0]["epochs"] == 2, "what the stage leaves open is there, by its rows"
    assert "days      3, 2026-11-01 to 2026-11-03\n" in words
    assert "rows      24\n" in words
    assert "hold out  2026-11-03\n" in words
    assert ", counted; most of " in words
    assert "memory    " in words
    assert "disk      at most " in words
    assert {path: path.stat().st_mtime_ns for path in session.folder.rglob("*")} == before


def test_as_json_it_is_one_object_in_bytes(session):
    done = nightjar("config", "check", "train.yaml", "--set", "table.dimension=32", "--json", cwd=session.folder)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["days"] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert (found["rows"], found["held_out_days"]) == (24, ["2026-11-03"])
    assert found["ids"]["total"] == sum(found["ids"]["by_field"].values())
    assert found["config"]["table"]["dimension"] == 32
    assert found["memory"]["table_bytes"] == found["ids"]["total"] * (1 + 32 + 1) * 4
    assert found["disk"]["bytes"] > 0


def test_days_that_are_missing_and_rows_that_are_drawn_are_told(session):
    write_day(session.folder / "logs", date(2026, 11, 9), click_rows(99))
    split = "data.split={by: random, row_key: row}"
    done = nightjar("config", "check", "train.yaml", "--set", split, cwd=session.folder)
    assert "days      4, 2026-11-01 to 2026-11-09; 5 between them are not there\n" in done.stdout
    assert "hold out  rows drawn by their key\n" in done.stdout


def test_no_secret_of_a_config_is_shown(session):
    uri = "mlflow.tracking_uri=http://ann:pass-word-1@127.0.0.1:9"
    done = nightjar("config", "check", "train.yaml", "--set", uri, cwd=session.folder)
    assert done.exit_code == 0, "and nobody asks the server"
    assert "pass-word-1" not in done.stdout + done.stderr
    assert "http://***@127.0.0.1:9" in done.stdout


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("stages.fm.epoch=2", "unknown key 'epoch'"),
        ("data.logs_uri=/nowhere", "no date=YYYY-MM-DD folder"),
        ("data.split.test_dates=[2026-12-24]", "no day 2026-12-24"),
        ("table.dimension=1000000000000", "no memory for 1 of them"),
    ],
)
def test_a_config_that_train_would_refuse_is_refused(session, override, found):
    message = session.refused("config", "check", "train.yaml", "--set", override)
    assert found in message["found"]
    assert set(message) == {"found", "expected", "where", "remedy"}


def test_rows_that_break_the_contract_are_refused(session):
    rows = click_rows()
    labels = rows.set_column(rows.column_names.index("click"), "click", [[7] * 8])
    write_day(session.folder / "logs", date(2026, 11, 1), labels)
    assert "7 (4 such rows)" in session.refused("config", "check", "train.yaml")["found"]


def test_a_missing_config_is_refused(tmp_path):
    assert "cannot be read" in Session(tmp_path).refused("config", "check", "nowhere.yaml")["found"]


def test_neither_ray_nor_mlflow_is_begun_with(tmp_path, session):
    write_random_log(tmp_path / "logs", num_days=2, rows_per_day=100)
    begun = {name for name in sys.modules if name in ("ray", "mlflow")}
    nightjar("config", "check", "train.yaml", cwd=session.folder)
    assert {name for name in sys.modules if name in ("ray", "mlflow")} == begun
