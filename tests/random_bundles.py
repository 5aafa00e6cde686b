"""Bundles of every kind of field, made without training: a vocabulary of 400 random rows and weights far from fresh."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from lookups import lookup_of

from pipeline.data import vocabulary
from pipeline.registry.bundle import Origin
from pipeline.retrain.promotion import write_bundle
from pipeline.training import checkpoint, initialize
from schemas.config import TrainConfig

FIELDS = [
    {"name": "site", "kind": "categorical"},
    {"name": "hour", "kind": "categorical"},
    {"name": "is_mobile", "kind": "categorical"},
    {"name": "user", "kind": "categorical", "encoder": {"type": "hash", "num_buckets": 50}},
    {"name": "tags", "kind": "multi_valued"},
    {"name": "segments", "kind": "multi_valued", "combine": "sum"},
    {"name": "price", "kind": "numeric"},
    {"name": "visits", "kind": "numeric", "encoder": {"type": "log_bucket"}},
    {"name": "age", "kind": "numeric", "encoder": {"type": "scale"}},
]
STAGES = [
    {"name": "fm", "model": "fm"},
    {
        "name": "deepfm",
        "model": "deepfm",
        "init_from": "fm",
        "mlp": {"hidden": [8], "batch_norm": True, "dropout": 0.5},
    },
]


def random_rows(num_rows: int, seed: int) -> pa.Table:
    """Rows as a Parquet file holds them, a tenth of the values missing; another seed brings values not seen before."""
    rng = np.random.default_rng(seed)

    def column(values: list, kind: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < 0.1 else value for value in values], kind)

    def lists(kind: type) -> list:
        return [[kind(x) for x in rng.integers(0, 8 + 4 * seed, rng.integers(0, 4))] for _ in range(num_rows)]

    return pa.table(
        {
            "click": pa.array(rng.integers(0, 2, num_rows), pa.int8()),
            "site": column([f"s{i}" for i in rng.integers(0, 9 + 5 * seed, num_rows)], pa.string()),
            "hour": column(rng.integers(0, 24, num_rows).tolist(), pa.int32()),
            "is_mobile": column((rng.random(num_rows) < 0.5).tolist(), pa.bool_()),
            "user": column(rng.integers(0, 2**50, num_rows).tolist(), pa.int64()),
            "tags": column(lists(str), pa.list_(pa.string())),
            "segments": column(lists(int), pa.list_(pa.int64())),
            "price": column(rng.normal(size=num_rows).tolist(), pa.float32()),
            "visits": column(rng.integers(0, 100, num_rows).tolist(), pa.int64()),
            "age": column(rng.integers(18, 80, num_rows).tolist(), pa.int16()),
        }
    )


@pytest.fixture(scope="session")
def random_log() -> Callable[[int, int], pa.Table]:
    return random_rows


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    data = {"logs_uri": "/logs", "features": {"label": "click", "fields": FIELDS}}
    return TrainConfig.model_validate({"data": data, "stages": STAGES, "table": {"dimension": 4}})


@pytest.fixture(scope="session")
def state(config: TrainConfig) -> checkpoint.StageState:
    """A deepfm stage whose rows and batch-norm statistics are far from their start, so that scores differ."""
    vocab = vocabulary.build(config.data.features, vocabulary.count(random_rows(400, seed=0), config.data.features))
    state = initialize.from_scratch(config.stages[1], config, vocab.num_ids)
    torch.manual_seed(0)
    state.table.rows.normal_()
    state.table.accumulators.uniform_()
    state.model.train()(lookup_of(state.table.rows[: 9 * 16].reshape(16, 9, 5)))
    state.progress.results = {"ne": 0.9, "auc": 0.7}
    return state


@pytest.fixture(scope="session")
def bundle_folder(config: TrainConfig, state: checkpoint.StageState, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests that change files change a copy."""
    stage_folder, folder = tmp_path_factory.mktemp("stage"), tmp_path_factory.mktemp("bundles") / "bundle"
    checkpoint.save(state, stage_folder)
    vocab = vocabulary.build(config.data.features, vocabulary.count(random_rows(400, seed=0), config.data.features))
    write_bundle(
        folder,
        config,
        config.stages[1],
        vocab,
        stage_folder,
        Origin(
            identity="0123456789abcdef",
            training_days=[date(2026, 11, 17), date(2026, 11, 18)],
            results=checkpoint.read_progress(stage_folder).results,
        ),
    )
    return folder
