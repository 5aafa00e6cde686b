"""What `nightjar explain` refuses, in four lines, before a row is scored."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from bundles import write_random_bundle
from click_logs import click_rows, write_day

MESSAGE = {"found", "expected", "where", "remedy"}


@pytest.fixture
def arguments(session, tmp_path) -> tuple[str, ...]:
    write_random_bundle(tmp_path / "model", click_rows())
    return ("explain", "--config", str(session.folder / "train.yaml"), "--model", str(tmp_path / "model" / "bundle"))


def test_a_model_of_a_newer_format_is_refused_with_both_formats(session, arguments):
    contents = Path(arguments[-1], "bundle.json")
    contents.write_text(json.dumps(json.loads(contents.read_text()) | {"format_version": 99}))
    message = session.refused(*arguments)
    assert set(message) == MESSAGE
    assert message["found"] == "format_version 99"


def test_a_folder_that_holds_no_model_is_refused(session, arguments, tmp_path):
    (tmp_path / "empty").mkdir()
    message = session.refused(*arguments[:-1], str(tmp_path / "empty"))
    assert set(message) == MESSAGE
    assert message["found"] == "no bundle.json"


def test_a_day_that_the_log_has_not_is_refused_with_those_that_it_has(session, arguments):
    message = session.refused(*arguments, "--dates", "2026-12-24")
    assert set(message) == MESSAGE
    assert "no day 2026-12-24" in message["found"]


def test_held_out_rows_of_one_class_are_refused_and_nothing_is_told_of_them(session, arguments):
    rows = click_rows()
    place = rows.column_names.index("click")
    write_day(session.folder / "logs", date(2026, 11, 3), rows.set_column(place, "click", pa.array([0] * 8, pa.int8())))
    message = session.refused(*arguments)
    assert set(message) == MESSAGE
    assert message["found"] == "8 held-out rows, 0 of them clicks"


def test_a_column_that_the_model_reads_and_the_log_has_not_is_refused(session, arguments):
    write_day(session.folder / "logs", date(2026, 11, 3), click_rows().drop_columns(["age"]))
    message = session.refused(*arguments)
    assert set(message) == MESSAGE
    assert "'age'" in message["found"]
