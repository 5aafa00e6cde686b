"""Bundles of classes and of numbers: what is loaded again says what was trained, in the label's own terms."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from bundles import bundle_of
from click_logs import SPEC, click_rows
from training_states import logits_of

from pipeline.data import vocabulary
from pipeline.data.batch import Batch
from pipeline.registry.bundle import Bundle
from pipeline.retrain import warm_start
from pipeline.training import initialize
from pipeline.training.checkpoint import StageState
from pipeline.training.prior import Prior
from schemas.config import TrainConfig
from schemas.errors import Refusal

LABELS = {
    "multiclass": ["red", "blue", "red", "green", "blue", "red", "red", "green"],
    "regression": [1.5, -2.0, 0.0, 7.25, 1e-3, 100.0, 3.0, -50.5],
}
NETS = [("fm", 1), ("fnn", 1), ("deepfm", 3)]


def config_of(objective: str, model: str = "fm", members: int = 1) -> TrainConfig:
    stage = {"name": "one", "model": model, "mlp": {"hidden": [8]}, "members": members}
    features = {**SPEC, "objective": objective}
    return TrainConfig.model_validate(
        {"data": {"logs_uri": "/logs", "features": features}, "stages": [stage], "table": {"dimension": 4}}
    )


def labelled(objective: str, labels: list[object] | None = None) -> pa.Table:
    column = pa.array(labels or LABELS[objective]) if objective != "binary" else click_rows()["click"]
    return click_rows().set_column(7, "click", column)


def made(folder: Path, config: TrainConfig, labels: list[object] | None = None) -> tuple[Bundle, StageState]:
    spec, stage = config.data.features, config.stages[0]
    log = labelled(spec.objective, labels)
    vocab = vocabulary.build(spec, vocabulary.count(log, spec))
    prior = Prior(vocab.target, (0.0,) * vocab.target.num_outputs)
    state = initialize.from_scratch(stage, config, vocab.num_ids, prior)
    state.table.rows.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    return bundle_of(config, state, vocab, folder), state


@pytest.mark.parametrize("objective", LABELS)
@pytest.mark.parametrize(("model", "members"), NETS)
def test_a_bundle_says_bit_for_bit_what_training_evaluates(tmp_path, objective, model, members):
    bundle, state = made(tmp_path, config_of(objective, model, members))
    rows = bundle.encoder.encode(labelled(objective))
    evaluated = logits_of(state, [Batch.of(rows, 0, len(rows))]).numpy()
    found = bundle.logits(rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, evaluated)
    assert found.shape == ((8, 3) if objective == "multiclass" else (8,))


def test_a_bundle_has_the_names_of_its_classes_and_the_scale_of_its_numbers(tmp_path):
    bundle, _ = made(tmp_path / "classes", config_of("multiclass"))
    assert bundle.vocabulary.classes == ("blue", "green", "red")
    assert bundle.encoder.encode(labelled("multiclass")).labels.tolist() == [2, 0, 2, 1, 0, 2, 2, 1]
    bundle, state = made(tmp_path / "numbers", config_of("regression"))
    assert bundle.vocabulary.target == state.target
    assert bundle.vocabulary.target.scale == pytest.approx(np.std(LABELS["regression"]), rel=1e-3)


@pytest.mark.parametrize(
    ("own", "its"), [("multiclass", "regression"), ("regression", "multiclass"), ("binary", "regression")]
)
def test_a_warm_start_from_a_model_of_another_objective_is_refused(tmp_path, own, its):
    bundle, _ = made(tmp_path, config_of(its))
    with pytest.raises(Refusal) as refusal:
        warm_start.check("models:/ctr/1", bundle, config_of(own))
    assert refusal.value.found == f"models:/ctr/1, whose objective is {its}"
