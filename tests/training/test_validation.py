from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.rows import Rows
from pipeline.data.store import Store, StoredPart, complete, write_part
from pipeline.embedding.sharding import Alone
from pipeline.training import initialize
from pipeline.training.prior import Prior
from pipeline.training.rank import Rank
from pipeline.training.validation import Judge
from schemas.config import TrainConfig

NUM_IDS, NUM_FIELDS = 40, 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Held-out rows, in two parts."""
    random, parts = np.random.default_rng(3), []
    for index, num_rows in enumerate((300, 100)):
        ids = random.integers(0, NUM_IDS, num_rows * NUM_FIELDS).astype(np.int32)
        labels = (random.random(num_rows) < 0.3).astype(np.float32)
        part = StoredPart("test", date(2026, 11, 1), index, num_rows, int(labels.sum()))
        parts.append(write_part(str(tmp_path), part, Rows(ids=ids, labels=labels, num_fields=NUM_FIELDS)))
    return complete(str(tmp_path), NUM_IDS, parts)


def test_a_sample_is_read_once_and_kept_for_all_looks(config: TrainConfig, store: Store):
    stage = config.stages[0]
    state = initialize.from_scratch(stage, config, NUM_IDS, prior=Prior.of_clicks(0.3))
    judge = Judge(Rank(config, store, run_uri=""), state, Alone(state.table))
    first = judge.sums("test", 40)
    assert first.metrics().rows == 40, "a tenth of each part"
    for part in store.of_split("test"):
        Path(store.uri_of(part)).unlink()
    assert judge.sums("test", 40).metrics() == first.metrics()
    state.table.rows += 1.0
    assert judge.sums("test", 40).metrics() != first.metrics(), "the rows are kept, not what was made of them"
