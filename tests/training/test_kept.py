"""What stages have left behind, damaged: nothing that another stage could go on from is taken for what it was."""

import shutil
from pathlib import Path

import damage
import numpy as np
import pytest
import torch
from training_states import batches_of, train_alone

from pipeline.evaluation.calibration import Platt
from pipeline.evaluation.metrics import Sums
from pipeline.runtime import trusted
from pipeline.runtime.trusted import Damaged
from pipeline.training import checkpoint, initialize, kept, published, tensor_files
from pipeline.training.early_stop import BEST
from schemas.errors import Failure

NUM_IDS = 40


@pytest.fixture(scope="module")
def stage_folder(config, rows, tmp_path_factory) -> Path:
    state = initialize.from_scratch(config.stages[1], config, NUM_IDS)
    train_alone(state, batches_of(rows), config.stages[1], 3)
    folder = tmp_path_factory.mktemp("run") / "deepfm"
    logits = np.linspace(-1, 1, 160, dtype=np.float32)
    extra = {
        "logits-0-of-1.npz": published.npz({"0": logits}),
        published.HELD_OUT_SUMS: Sums.of(logits, rows.labels).to_bytes(),
        published.CALIBRATION: trusted.sealed(Platt(slope=0.5, intercept=0.1).model_dump(mode="json")),
    }
    published.put(state, extra, str(folder))
    published.publish(str(folder))
    return folder


def test_a_stage_of_which_a_rank_has_put_its_part_elsewhere_is_not_published(stage_folder, tmp_path):
    shutil.copytree(stage_folder, tmp_path / "deepfm")
    (tmp_path / "deepfm" / "_SUCCESS").unlink()
    with pytest.raises(Failure, match=r"logits-1-of-2.npz: it is not there"):
        published.publish(str(tmp_path / "deepfm"), {"logits-0-of-1.npz": None, "logits-1-of-2.npz": 4000})
    assert not kept.stage(str(tmp_path / "deepfm")), "and what is there is dropped before another attempt"


def damaged_copies(folder: Path, scratch: Path, names: list[str]):
    """(what was done, a copy of the folder to which it was done), one after the other at the same place."""
    for name in names:
        for kind in damage.kinds_of(folder / name):
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(folder, scratch)
            damage.KINDS[kind](scratch / name)
            yield f"{name}, {kind}", scratch


def test_a_published_stage_is_kept_as_it_is(stage_folder):
    before = {path.name: path.read_bytes() for path in stage_folder.iterdir()}
    assert kept.stage(str(stage_folder))
    assert {path.name: path.read_bytes() for path in stage_folder.iterdir()} == before


def test_what_an_attempt_that_was_cut_short_has_left_is_no_part_of_the_next(stage_folder, tmp_path):
    left = shutil.copytree(stage_folder, tmp_path / "stage")
    (left / "_SUCCESS").unlink()
    damage.KINDS["a-folder"](left / checkpoint.PROGRESS)
    assert not kept.stage(str(left))
    assert not left.exists()


@pytest.mark.slow
def test_a_published_stage_with_any_damaged_file_is_dropped_to_be_trained_again(stage_folder, tmp_path, caplog):
    names = sorted(path.name for path in stage_folder.iterdir())
    assert len(names) == 7
    for what, copied in damaged_copies(stage_folder, tmp_path / "stage", names):
        assert not kept.stage(str(copied)), what
        assert not (copied / "_SUCCESS").exists(), what
    assert "is damaged" in caplog.text


@pytest.mark.slow
def test_a_checkpoint_with_any_damaged_file_is_not_gone_on_from(config, rows, tmp_path):
    state = initialize.from_scratch(config.stages[1], config, NUM_IDS)
    train_alone(state, batches_of(rows), config.stages[1], 3)
    state.progress.best_step = 2
    for folder in (tmp_path / "whole", tmp_path / "whole" / BEST):
        folder.mkdir()
        checkpoint.save(state, folder)
    kept.check_checkpoint(str(tmp_path / "whole"))
    names = [str(path) for path in damage.files_below(tmp_path / "whole")]
    assert len(names) == 6
    for what, copied in damaged_copies(tmp_path / "whole", tmp_path / "copy", names):
        with pytest.raises(Damaged):
            pytest.fail(f"{what}: {kept.check_checkpoint(str(copied))}")
    shutil.rmtree(tmp_path / "whole" / BEST)
    with pytest.raises(Damaged, match="it is missing"):
        kept.check_checkpoint(str(tmp_path / "whole"))


@pytest.mark.slow
def test_tensors_of_which_any_bit_has_changed_are_not_loaded(tmp_path):
    path = tmp_path / "two.safetensors"
    tensors = {"rows": torch.arange(12.0).view(4, 3), "step": torch.tensor(7)}
    tensor_files.save(tensors, path)
    assert all(torch.equal(values, tensors[name]) for name, values in tensor_files.load(path).items())
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            pytest.fail(f"byte {place}: {tensor_files.load(path)}")
