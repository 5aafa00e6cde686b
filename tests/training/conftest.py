import numpy as np
import pytest

from pipeline.data.rows import Rows
from schemas.config import TrainConfig

NUM_IDS, NUM_FIELDS = 40, 3
FIELDS = [{"name": name, "kind": "categorical"} for name in "abc"]
STAGES = [
    {"name": "fm", "model": "fm", "batch_size": 16},
    {
        "name": "deepfm",
        "model": "deepfm",
        "init_from": "fm",
        "batch_size": 16,
        "mlp": {"hidden": [8], "dropout": 0.5},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
    },
]


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "seed": 3,
            "data": {"logs_uri": "logs", "features": {"label": "click", "fields": FIELDS}},
            "table": {"dimension": 4, "init_deviation": 0.1},
            "stages": STAGES,
        }
    )


@pytest.fixture(scope="session")
def rows() -> Rows:
    """160 rows whose label is whether the first field's id is even."""
    ids = np.random.default_rng(0).integers(0, NUM_IDS, size=(160, NUM_FIELDS)).astype(np.int32)
    return Rows(ids=ids.ravel(), labels=(ids[:, 0] % 2 == 0).astype(np.float32), num_fields=NUM_FIELDS)
