"""Files come to their place whole or not at all, on a disk and in a bucket."""

import json
from pathlib import Path

import fsspec
import onnxruntime
import pyarrow.parquet as pq
import pytest
from exported import LEARNED, bundle_of

from pipeline.export import check, embeddings, graph, onnx_file, place
from pipeline.registry.bundle import Bundle
from schemas.errors import Failure

FILES = ["model.json", "model.onnx"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of({"model": "deepfm", "mlp": {"hidden": [8]}}, LEARNED)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_made_or_an_empty_one_filled(bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "of" / "none"):
        onnx_file.export(bundle, "models:/ctr/1", str(out), ())
        assert names(out) == FILES
        assert json.loads((out / "model.json").read_text())["model"] == "models:/ctr/1"
    assert names(tmp_path) == ["empty", "of"]


def test_a_table_that_a_file_of_onnx_has_no_room_for_lies_beside_it(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "EXTERNAL_BYTES", 500)
    card = onnx_file.export(bundle, "", str(tmp_path / "out"), ())
    assert names(tmp_path / "out") == ["model.json", "model.onnx", "model.onnx.data"]
    assert card.files == {name: (tmp_path / "out" / name).stat().st_size for name in ("model.onnx", "model.onnx.data")}
    assert card.files["model.onnx.data"] >= bundle.table.rows.numpy().nbytes
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    onnxruntime.InferenceSession(tmp_path / "elsewhere/model.onnx")


def test_a_file_that_says_something_else_is_not_put_in_place(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MAX_GOLDEN_DIFFERENCE", -1.0)
    monkeypatch.setattr(check, "ROUNDINGS", -1)
    with pytest.raises(Failure, match="nothing was written"):
        onnx_file.export(bundle, "", str(tmp_path / "out"), ())
    assert not names(tmp_path)


@pytest.mark.slow
def test_a_bucket_is_filled_as_a_folder_is(bundle, bucket):
    place.require_empty(f"{bucket}/served", "folder")
    onnx_file.export(bundle, "", f"{bucket}/served", ())
    assert sorted(name.rsplit("/", 1)[1] for name in fsspec.filesystem("s3").ls("clicks/served")) == FILES
    assert embeddings.export(bundle, f"{bucket}/embeddings.parquet") == bundle.vocabulary.num_ids
    assert pq.read_table(f"{bucket}/embeddings.parquet").num_rows == bundle.vocabulary.num_ids
