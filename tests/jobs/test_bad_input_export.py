"""What `export` cannot do is refused in four lines, and leaves nothing behind."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from bundles import write_random_bundle
from click_logs import click_rows

MODEL = "bundle"
ONNX = ("export", "--to", "onnx")


@pytest.fixture
def session(session, tmp_path):
    write_random_bundle(tmp_path / "made", click_rows())
    shutil.move(tmp_path / "made" / "bundle", tmp_path / MODEL)
    return session


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"logs", "train.yaml", "features.yaml", "made", MODEL}


@pytest.mark.parametrize(
    ("options", "found", "where"),
    [
        (["--model", "no-model", "--out", "out"], "no bundle.json", "no-model"),
        (["--model", "models:/none@champion", "--out", "out"], "no runs and no models", "work_uri"),
        (["--model", MODEL, "--out", "train.yaml"], "a file", "--out"),
        (["--model", MODEL, "--out", MODEL], "a folder that holds something", "--out"),
        (["--model", MODEL, "--out", "train.yaml/out"], "a file", "--out"),
        (["--model", MODEL, "--out", "/proc/out"], "No such file or directory", "--out"),
        (["--model", MODEL, "--out", "memory://out"], "which no other process sees", "--out"),
        (["--model", MODEL, "--out", "out", "--integers", "age"], "'age'", "--integers"),
        (["--model", MODEL, "--out", "out", "--integers", "nothing"], "'nothing'", "--integers"),
        (["--model", MODEL, "--out", "out", "--integers", "tags"], "'", "values of 'tags'"),
    ],
)
def test_what_cannot_be_exported_is_refused(session, options, found, where):
    message = session.refused(*ONNX, *options)
    assert found in message["found"]
    assert where in message["where"]
    assert not left(session.folder) - {".nightjar"}


@pytest.mark.parametrize("out", ["train.yaml", MODEL, "/proc/out"])
def test_embeddings_do_not_take_the_place_of_what_lies_there(session, out):
    message = session.refused("export", "--to", "embeddings", "--model", MODEL, "--out", out)
    assert out in message["where"]
    assert not left(session.folder)


def test_integers_are_refused_beside_embeddings_which_no_column_is_sent_to(session):
    message = session.refused(
        *("export", "--to", "embeddings", "--model", MODEL, "--out", "out.parquet", "--integers", "tags")
    )
    assert message["found"] == "--integers tags, beside --to embeddings"
    assert not left(session.folder)


def test_a_bundle_of_a_newer_format_is_refused(session):
    path = session.folder / MODEL / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 9}))
    message = session.refused(*ONNX, "--model", MODEL, "--out", "out")
    assert message["found"] == "format_version 9"
    assert not left(session.folder)


def test_without_its_packages_an_export_names_the_extra(session, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python notes what cannot be imported
    message = session.refused(*ONNX, "--model", MODEL, "--out", "out")
    assert message["found"] == "no package onnx and onnxruntime"
    assert message["remedy"] == "pip install 'nightjar[export]'"
