from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import store
from pipeline.data.rows import Rows
from pipeline.data.store import Store, StoredPart
from pipeline.evaluation.metrics import Sums
from pipeline.retrain.baselines import baselines
from schemas.config import DataConfig

FIELD = {"name": "site", "kind": "categorical"}


def written(uri: Path, **columns: dict[str, np.ndarray]) -> Store:
    """Of two training days and a held-out one, 40 rows each: `columns` of all 120 rows."""
    parts = []
    for number, split in enumerate(("train", "train", "test")):
        own = {name: values[40 * number : 40 * number + 40] for name, values in columns.items()}
        rows = Rows(ids=np.zeros(40, np.int32), num_fields=1, **own)
        part = StoredPart(split, date(2026, 11, 1 + number), 0, 40, int(rows.labels.sum()))
        parts.append(store.write_part(str(uri), part, rows))
    return store.complete(str(uri), 1, parts)


def data_of(**also: object) -> DataConfig:
    spec = {"label": "click", "fields": [FIELD], **also.pop("spec", {})}
    return DataConfig.model_validate({"logs_uri": "logs", "features": spec, **also})


LABELS = (np.arange(120) % 8 == 0).astype(np.float32)
HELD_OUT = Sums.of(np.zeros(40), LABELS[80:])


def test_the_base_rate_is_that_of_the_training_days_alone(tmp_path):
    labels = np.where(np.arange(120) < 80, LABELS, np.arange(120) % 2).astype(np.float32)
    found = baselines(written(tmp_path, labels=labels), data_of(), HELD_OUT)
    assert found.rate == 10 / 80
    assert found.sums.keys() == {"base rate"}
    assert found.sums["base rate"].metrics().ne == pytest.approx(1), "it is judged on the held-out rows as they are"


def test_negatives_that_were_left_away_count(tmp_path):
    # 10 clicks and, of four times as many, 70 others.
    assert baselines(written(tmp_path, labels=LABELS), data_of(negative_share=0.25), HELD_OUT).rate == 10 / 290


def test_rows_count_by_their_weights(tmp_path):
    weights = np.where(LABELS == 1, 3, 0.5).astype(np.float32)
    stored = written(tmp_path, labels=LABELS, row_weights=weights)
    held_out = Sums.of(np.zeros(40), LABELS[80:], weights[80:])
    found = baselines(stored, data_of(spec={"weight": "w"}), held_out)
    assert found.rate == 30 / (30 + 35)
    assert found.sums["base rate"].metrics().ne == pytest.approx(1)


def test_each_groups_own_rate_is_held_against_its_held_out_rows(tmp_path):
    # Group 1 clicks always and group 2 never, but for rows of 3, which training has not.
    groups = np.where(LABELS == 1, 1, 2)
    groups[80:82] = 3
    found = baselines(written(tmp_path, labels=LABELS, groups=groups), data_of(spec={"group": "user"}), HELD_OUT)
    by_group = found.sums["base rate of each user"].metrics()
    p = {1: (10 + 1) / (10 + 8), 2: 1 / (70 + 8), 3: 1 / 8}
    chances = np.array([p[group] for group in groups[80:]])
    nats = -np.where(LABELS[80:] == 1, np.log(chances), np.log(1 - chances)).mean()
    assert by_group.log_loss == pytest.approx(nats)
    assert by_group.ne < found.sums["base rate"].metrics().ne
    assert by_group.rows == 40


def test_rows_of_one_class_have_no_base_rate_to_predict(tmp_path):
    found = baselines(written(tmp_path, labels=np.zeros(120, np.float32)), data_of(), HELD_OUT)
    assert (found.rate, found.sums) == (None, {})
