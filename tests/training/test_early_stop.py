"""A stage on one rank over a small store, looked at as it trains: early stopping, curve, resumption, calibration."""

import json
import shutil
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.data.rows import Rows
from pipeline.data.store import SplitName, Store, StoredPart, complete, write_part
from pipeline.data.windows import local_windows, rewindowed
from pipeline.evaluation import calibration
from pipeline.runtime.progress import Point
from pipeline.training import checkpoint, local, published
from pipeline.training.checkpoint import StageState
from pipeline.training.early_stop import BEST, CURVE_LOOKS, Watch
from pipeline.training.rank import Rank
from pipeline.training.results import held_out_logits
from pipeline.training.stage import Checkpoints, train_stage
from schemas.config import TrainConfig
from schemas.optimization import ConstantSchedule
from schemas.stage import EarlyStopConfig, StageConfig

NUM_IDS, NUM_FIELDS = 40, 3
STEPS_PER_EPOCH = 12  # of 16 rows
NUM_ROWS: dict[SplitName, int] = {"train": 12 * 16, "validation": 150, "test": 130}
PATIENCE = 3
TIMED = ("seconds", "rows_per_second")

Looks = list[tuple[int, float]]


def clicks(num_rows: int, seed: int) -> Rows:
    """Rows whose first field tells something, and no more than that: a model that learns longer learns the noise."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, NUM_IDS, (num_rows, NUM_FIELDS)).astype(np.int32)
    p = np.where(ids[:, 0] % 2 == 0, 0.7, 0.2)
    return Rows(ids=ids.ravel(), labels=(random.random(num_rows) < p).astype(np.float32), num_fields=NUM_FIELDS)


@pytest.fixture(scope="module")
def config(config: TrainConfig) -> TrainConfig:
    """Without the fused kernels: to load Numba takes longer than all else here."""
    return config.model_copy(update={"cluster": config.cluster.model_copy(update={"fused": False})})


@pytest.fixture(scope="module")
def splits() -> dict[SplitName, Rows]:
    return {split: clicks(num_rows, seed) for seed, (split, num_rows) in enumerate(NUM_ROWS.items())}


@pytest.fixture(scope="module")
def store(splits, tmp_path_factory) -> Store:
    """Each split in two parts of unequal days."""
    uri, parts = str(tmp_path_factory.mktemp("store")), []
    for split, rows in splits.items():
        for day, (start, stop) in enumerate(pairwise([0, 40, len(rows)]), 1):
            share = rows.slice(start, stop)
            parts.append(StoredPart(split, date(2026, 11, day), 0, len(share), int(share.labels.sum())))
            write_part(uri, parts[-1], share)
    return complete(uri, NUM_IDS, parts)


@pytest.fixture(scope="module")
def stage(config: TrainConfig) -> StageConfig:
    """An FM that soon learns the training rows by heart, at a rate that does not depend on its number of steps."""
    changes = {
        "epochs": 6.0,
        "embedding": config.stages[0].embedding.model_copy(update={"learning_rate": 0.3}),
        "schedule": ConstantSchedule(),
    }
    return config.stages[0].model_copy(update=changes)


@pytest.fixture(scope="module")
def stopping(stage: StageConfig) -> StageConfig:
    """The same, looked at every third step."""
    return stage.model_copy(update={"early_stop": EarlyStopConfig(every_epochs=0.25, patience=PATIENCE)})


def looks_of(rank: Rank, stage: StageConfig) -> Looks:
    """Train the stage: (step, NE) of each look at the validation rows."""
    looks: Looks = []

    def report(point: Point) -> None:
        if "validation/ne" in point.metrics:
            looks.append((point.step, point.metrics["validation/ne"]))

    local.run_stage(rank, stage, report)
    return looks


def published_folder(rank: Rank, stage: StageConfig) -> Path:
    assert published.is_published(published.stage_uri(rank.run_uri, stage.name))
    return Path(published.stage_uri(rank.run_uri, stage.name))


def fm_logits(folder: Path, rows: Rows) -> NDArray[np.float64]:
    """Rendle's sum over all pairs, one after another, of the tensors in the folder."""
    tensors = checkpoint.load_tensors(folder)
    rows_BFD = tensors["table.rows"].double()[torch.from_numpy(rows.ids.reshape(-1, NUM_FIELDS)).long()]
    logits_B = tensors["model.w0"].double() + rows_BFD[:, :, 0].sum(dim=1)
    for f in range(NUM_FIELDS):
        for g in range(f):
            logits_B = logits_B + (rows_BFD[:, f, 1:] * rows_BFD[:, g, 1:]).sum(dim=1)
    return logits_B.numpy()


def ne_of(logits: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    """Log loss over the entropy of the mean label (He et al. 2014)."""
    p, rate = 1 / (1 + np.exp(-logits)), float(labels.mean())
    log_loss = -np.mean(np.where(labels == 1, np.log(p), np.log(1 - p)))
    return float(log_loss / -(rate * log(rate) + (1 - rate) * log(1 - rate)))


@pytest.fixture(scope="module")
def stopped(config, store, stopping, tmp_path_factory) -> tuple[Rank, Looks]:
    rank = Rank(config, store, str(tmp_path_factory.mktemp("stopped")))
    return rank, looks_of(rank, stopping)


def test_what_is_published_is_the_state_at_the_lowest_validation_ne(stopped, stopping, splits):
    rank, looks = stopped
    rows = splits["validation"]
    lowest = min(ne for _, ne in looks)
    assert lowest < looks[-1][1], "it went on beyond the best"
    assert ne_of(fm_logits(published_folder(rank, stopping), rows), rows.labels) == pytest.approx(lowest, rel=1e-5)


def test_it_stops_after_as_many_looks_without_a_lower_ne_as_its_patience(stopped, stopping):
    rank, looks = stopped
    nes = [ne for _, ne in looks]
    since_best = len(nes) - 1 - nes.index(min(nes))
    assert since_best == PATIENCE
    assert [step for step, _ in looks] == [3 * (i + 1) for i in range(len(looks))]
    progress = checkpoint.read_progress(published_folder(rank, stopping))
    assert progress.step == looks[-1][0] < rank.num_steps(stopping)
    assert (progress.best_step, progress.best_ne) == min(looks, key=lambda look: look[1])


def test_stopping_early_gives_the_bits_of_having_trained_to_the_best_step_only(stopped, stage, stopping, tmp_path):
    rank, looks = stopped
    best_step, _ = min(looks, key=lambda look: look[1])
    shorter = Rank(rank.config, rank.store, str(tmp_path))
    local.run_stage(shorter, stage.model_copy(update={"epochs": best_step / STEPS_PER_EPOCH}), lambda point: None)
    expected = checkpoint.load_tensors(published_folder(shorter, stage))
    found = checkpoint.load_tensors(published_folder(rank, stopping))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    held_out = [held_out_logits(one.run_uri, "fm") for one in (rank, shorter)]
    assert np.array_equal(*held_out)


def test_a_curve_rises_in_rows_and_ends_where_training_did(stopped, stopping):
    rank, looks = stopped
    progress = checkpoint.read_progress(published_folder(rank, stopping))
    seen = [rows for rows, _ in progress.curve]
    assert all(a < b for a, b in pairwise(seen))
    assert seen[-1] == progress.rows_seen == 16 * looks[-1][0]


@pytest.fixture(scope="module")
def whole(config, store, stage, tmp_path_factory) -> Rank:
    """That trained all epochs."""
    rank = Rank(config, store, str(tmp_path_factory.mktemp("whole")))
    assert looks_of(rank, stage) == []
    return rank


def test_the_curve_of_a_stage_that_is_not_stopped_ends_with_its_result(whole, stage, splits):
    folder, rows = published_folder(whole, stage), splits["test"]
    progress = checkpoint.read_progress(folder)
    assert len(progress.curve) == CURVE_LOOKS
    assert progress.curve[-1] == [6 * NUM_ROWS["train"], pytest.approx(progress.results["ne"])]
    assert progress.results["ne"] == pytest.approx(ne_of(fm_logits(folder, rows), rows.labels), rel=1e-5)


def test_held_out_logits_are_the_published_models_in_the_stores_order(whole, stage, splits):
    found = held_out_logits(whole.run_uri, stage.name)
    assert found.tolist() == pytest.approx(fm_logits(published_folder(whole, stage), splits["test"]).tolist(), abs=1e-5)


@pytest.mark.parametrize(("epochs", "num_steps"), [(0.5, 6), (1.25, 15), (1.3, 16), (2.0, 24), (0.01, 1)])
def test_a_fraction_of_an_epoch_is_a_fraction_of_its_steps(config, store, stage, tmp_path, epochs, num_steps):
    rank, shorter = Rank(config, store, str(tmp_path)), stage.model_copy(update={"epochs": epochs})
    local.run_stage(rank, shorter, lambda point: None)
    progress = checkpoint.read_progress(published_folder(rank, shorter))
    assert (progress.step, progress.rows_seen) == (num_steps, 16 * num_steps)


@pytest.fixture(scope="module")
def layered(config: TrainConfig, stopping: StageConfig) -> StageConfig:
    """A stage with all that a checkpoint must bring back: dropout, moments, a table with a scale, early stopping."""
    embedding = stopping.embedding.model_copy(update={"name": "adam", "learning_rate": 0.02, "weight_decay": 0.1})
    changes = {"init_from": None, "embedding": embedding, "early_stop": stopping.early_stop, "epochs": 3.0}
    return config.stages[1].model_copy(update=changes)


def train(rank: Rank, stage: StageConfig, own: Path | None, saved: Path | None) -> None:
    """As one rank without Ray does, but with checkpoints: each in a folder of `saved` that is named by its step."""

    def windows(window_rows: int) -> Iterator[Rows]:
        return rewindowed(local_windows(rank.store, "train", rank.num_fields, 0, 1), window_rows)

    class Kept(Checkpoints):
        def save(self, state: StageState, watch: Watch) -> None:
            if saved is not None:
                folder = saved / str(state.progress.step)
                folder.mkdir()
                checkpoint.save(state, folder)
                if watch.best_dir.is_dir():
                    shutil.copytree(watch.best_dir, folder / BEST)

    train_stage(rank, stage, own, windows, lambda point: None, Kept(rank.config.checkpoint.every_steps))


@pytest.mark.slow
def test_a_run_that_is_resumed_from_any_checkpoint_publishes_the_bits_of_an_uninterrupted_one(
    config, store, layered, tmp_path
):
    config = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"every_steps": 5})})
    uninterrupted, saved = Rank(config, store, str(tmp_path / "uninterrupted")), tmp_path / "saved"
    saved.mkdir()
    train(uninterrupted, layered, None, saved)
    expected = published_folder(uninterrupted, layered)
    progress = checkpoint.read_progress(expected)
    steps = sorted(int(folder.name) for folder in saved.iterdir())
    assert steps == list(range(5, progress.step + 1, 5))
    assert 5 < progress.best_step < steps[-1], "checkpoints lie before the best and after it"
    assert any((saved / str(step) / BEST).is_dir() for step in steps)

    for step in steps:
        resumed = Rank(config, store, str(tmp_path / f"from-{step}"))
        train(resumed, layered, saved / str(step), None)
        found = published_folder(resumed, layered)
        for path in expected.glob("*.safetensors"):
            assert path.read_bytes() == (found / path.name).read_bytes(), f"{path.name}, from step {step}"
        assert progress_of(found) == progress_of(expected), f"from step {step}"


def progress_of(folder: Path) -> dict:
    """All of it that no clock has measured."""
    progress = json.loads((folder / checkpoint.PROGRESS).read_text())["progress"]
    progress["results"] = {name: value for name, value in progress["results"].items() if name not in TIMED}
    times = ("seconds", "began", "steps_began", "steps_ended", "ended")
    return {name: value for name, value in progress.items() if name not in times}


def test_published_logits_are_those_of_the_calibration_fitted_to_the_validation_rows(whole, stage, splits, tmp_path):
    rank = Rank(whole.config.model_copy(update={"calibration": "platt"}), whole.store, str(tmp_path))
    local.run_stage(rank, stage, lambda point: None)
    folder, validation, held_out = published_folder(rank, stage), splits["validation"], splits["test"]
    layer = published.parse_calibration((folder / published.CALIBRATION).read_bytes())
    fitted = calibration.fit("platt", fm_logits(folder, validation), validation.labels)
    assert (layer.slope, layer.intercept) == pytest.approx((fitted.slope, fitted.intercept), rel=1e-4)
    assert layer.slope < 0.9, "what has learnt the training rows by heart is too sure"

    uncalibrated, calibrated = (held_out_logits(one.run_uri, stage.name) for one in (whole, rank))
    assert np.array_equal(calibrated, layer.apply(uncalibrated))
    progress = checkpoint.read_progress(folder)
    assert progress.results["ne"] == pytest.approx(ne_of(calibrated.astype(float), held_out.labels))
    assert not (published_folder(whole, stage) / published.CALIBRATION).exists()
