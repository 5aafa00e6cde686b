"""What the doctor prints of what it has found; that it finds it is tried on a cluster."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from jobs.doctor import in_json, print_examined
from pipeline.retrain.doctor import Examination, Found, summary
from pipeline.runtime import credentials
from pipeline.runtime.check import Node
from schemas.errors import Refusal

PASSES = {"work folder": "", "log": ""}
REFUSAL = Refusal(found="node-2 (10.0.0.2): not there", expected="a folder", where="work_uri: /mnt", remedy="mount it")


def found(name: str, **changes: object) -> Found:
    node = Node(f"id-{name}", name, f"10.0.0.{name[-1]}", False)
    known = {"checks": PASSES, "clock_ahead_seconds": 0.0, "ranks": 1, "reads": False, "credentials": {}}
    return Found(node, "Ray 2.60.0", **{**known, **changes})  # type: ignore[arg-type]


@pytest.fixture
def examined() -> Examination:
    unwell = found("node-2", checks={**PASSES, "work folder": "not there"}, clock_ahead_seconds=None, ranks=0)
    return Examination((found("node-1", reads=True, credentials={"Ray": "a token"}), unwell), (REFUSAL,))


def test_a_table_shows_what_each_node_can_do_and_a_line_below_it_says_why_not(examined, capsys):
    print_examined(examined, Console(width=200))
    lines = capsys.readouterr().out.splitlines()
    (well,) = [line.split() for line in lines if "node-1 (10.0.0.1)" in line]
    assert well[4:] == ["yes", "yes", "+0.0", "s", "1", "+", "reader", "Ray:", "a", "token"]
    (unwell,) = [line.split() for line in lines if "node-2 (10.0.0.2)   Ray" in line]
    assert unwell[4:] == ["no", "yes", "?", "0"]
    assert "work_uri: /mnt: node-2 (10.0.0.2): not there" in lines
    assert "  mount it" in lines


def test_the_object_holds_the_same_and_why(examined):
    told = json.loads(in_json(examined))
    assert told["nodes"][1]["checks"]["work folder"] == "not there"
    assert told["refusals"][0]["remedy"] == "mount it"


def test_of_several_refusals_the_first_is_told_in_four_lines_and_how_many_more_there_are(examined):
    assert summary(examined.refusals) is not None
    words = str(summary([REFUSAL, REFUSAL, REFUSAL]))
    assert words.splitlines()[0] == "found     node-2 (10.0.0.2): not there (and 2 more above)"
    assert len(words.splitlines()) == 4


@pytest.mark.slow
def test_credentials_are_told_by_their_kind_and_never_by_their_value(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert credentials.of_places(("s3://bucket/work", "/mnt/logs")) == "AWS_*"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert credentials.of_places(("s3://bucket/work",)) == "none"
    assert credentials.of_places(("/mnt/work",)) == ""
    assert credentials.of_mlflow("sqlite:////mnt/mlflow.db") == ""
    assert credentials.of_mlflow("http://mlflow:5000") == "none"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-secret-of-ours")
    assert credentials.of_mlflow("http://mlflow:5000") == "a token"
