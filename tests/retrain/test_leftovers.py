from pathlib import Path

import pytest

from pipeline.retrain import leftovers

FILES = {
    "summary.json": 3,
    "checkpoint_manager_snapshot.json": 4,
    "checkpoint_1/table-0-of-1.safetensors": 50,
    "stages/fm/_SUCCESS": 0,
    "stages/fm/progress.json": 5,
    "stages/fm/table-0-of-1.safetensors": 100,
    "stages/fm/logits-0-of-1.npz": 20,
    "stages/origin-0123456789abcdef/_SUCCESS": 0,
    "stages/origin-0123456789abcdef/progress.json": 5,
    "stages/origin-0123456789abcdef/table-0-of-1.safetensors": 100,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name, size in FILES.items():
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    return tmp_path / "run"


def names(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*")}


def test_a_finished_run_keeps_its_results_alone(run):
    assert leftovers.of_run(str(run)).spare_bytes == 4 + 50 + 100 + 20 + 5 + 100
    assert leftovers.drop(str(run)) == 279
    assert names(run) == {"summary.json", "stages", "stages/fm", "stages/fm/progress.json"}
    assert leftovers.drop(str(run)) == 0
    assert leftovers.of_run(str(run)).has_summary


def test_what_is_left_of_a_removal_that_was_cut_short_is_no_stage(run):
    """No moment of it leaves a stage that says that it is published and is not whole."""
    order = [file.name for file in leftovers.in_order(leftovers.of_run(str(run)).spare)]
    assert set(order[:3]) == {
        "checkpoint_manager_snapshot.json",
        "stages/fm/_SUCCESS",
        "stages/origin-0123456789abcdef/_SUCCESS",
    }


def test_of_a_folder_that_is_not_there_nothing_is_left(tmp_path):
    assert leftovers.of_run(str(tmp_path / "none")).spare == ()
    assert leftovers.drop(str(tmp_path / "none")) == 0


@pytest.mark.slow
def test_a_run_in_an_object_store_is_emptied_alike(run, bucket):
    import fsspec

    fs = fsspec.filesystem("s3")
    uri = f"{bucket}/leftovers/run"
    fs.put(str(run), uri, recursive=True)
    assert leftovers.drop(uri) == 279
    assert sorted(fs.find(uri)) == ["clicks/leftovers/run/stages/fm/progress.json", "clicks/leftovers/run/summary.json"]
    assert leftovers.of_run(uri).modified > 0
    fs.rm(f"{bucket}/leftovers", recursive=True)
