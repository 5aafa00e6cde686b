"""Bundles over the columns of click_logs.py, made without training: fresh weights over random rows of the table."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from click_logs import SPEC
from numpy.typing import NDArray

from pipeline.data import vocabulary
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation.calibration import Platt
from pipeline.registry.bundle import Bundle, Origin
from pipeline.retrain.promotion import write_bundle
from pipeline.training import checkpoint, initialize, published
from pipeline.training.checkpoint import StageState
from pipeline.training.prior import Prior
from schemas.config import TrainConfig
from schemas.features import Objective

STAGES = [
    {"name": "fm", "model": "fm", "epochs": 1},
    {"name": "deepfm", "model": "deepfm", "init_from": "fm", "epochs": 1, "mlp": {"hidden": [8], "batch_norm": True}},
]


def write_random_bundle(folder: Path, rows: pa.Table, seed: int = 0, objective: Objective = "binary") -> Bundle:
    """With the vocabulary of `rows` and, of clicks, a calibration; the empty `folder` gets the bundle as folder/bundle.

    Labels of another objective are in the column of clicks.
    """
    features = {**SPEC, "objective": objective}
    config = TrainConfig.model_validate(
        {"data": {"logs_uri": "/logs", "features": features}, "stages": STAGES, "table": {"dimension": 4}, "seed": seed}
    )
    stage, stage_folder = config.stages[1], folder / "stage"
    spec = config.data.features
    vocab = vocabulary.build(spec, vocabulary.count(rows, spec))
    prior = Prior(vocab.target, (0.0,) * vocab.target.num_outputs)
    state = initialize.from_scratch(stage, config, vocab.num_ids, prior)
    generator = torch.Generator().manual_seed(seed)
    state.table.rows.normal_(std=0.3, generator=generator)
    state.table.accumulators.uniform_(generator=generator)
    state.progress.results = {"ne": 0.9}
    stage_folder.mkdir(parents=True)
    if objective == "binary":
        (stage_folder / published.CALIBRATION).write_text(Platt(slope=0.7, intercept=-1.3).model_dump_json())
    return bundle_of(config, state, vocab, folder)


def bundle_of(config: TrainConfig, state: StageState, vocab: Vocabulary, folder: Path) -> Bundle:
    """The bundle of a stage of the config in that state, as folder/bundle; beside it lies the stage's, folder/stage."""
    stage_folder = folder / "stage"
    stage_folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(state, stage_folder)
    (stage,) = (one for one in config.stages if one.name == state.progress.stage)
    origin = Origin(
        identity="0123456789abcdef",
        training_days=[date(2026, 11, 1)],
        results=checkpoint.read_progress(stage_folder).results,
    )
    write_bundle(folder / "bundle", config, stage, vocab, stage_folder, origin)
    return Bundle.load(folder / "bundle")


def bundle_logits(bundle: Bundle, log: pa.Table) -> NDArray[np.float32]:
    """[R] of R rows as they lie in the log."""
    return bundle.logits(bundle.encoder.encode(log))
