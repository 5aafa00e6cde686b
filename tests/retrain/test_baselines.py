from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import store
from pipeline.data.rows import Rows
from pipeline.data.store import Store, StoredPart
from pipeline.data.target import CLICKS, Target
from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.number_sums import NumberSums
from pipeline.retrain.baselines import baselines
from schemas.config import DataConfig

CLASSES = Target("multiclass", ("a", "b", "c"))
NO_ROWS = ClassSums.zero()
FIELD = {"name": "site", "kind": "categorical"}


def written(uri: Path, target: Target = CLICKS, **columns: dict[str, np.ndarray]) -> Store:
    """Of two training days and a held-out one, 40 rows each: `columns` of all 120 rows."""
    parts = []
    for number, split in enumerate(("train", "train", "test")):
        own = {name: values[40 * number : 40 * number + 40] for name, values in columns.items()}
        rows = Rows(ids=np.zeros(40, np.int32), num_fields=1, **own)
        part = StoredPart(split, date(2026, 11, 1 + number), 0, 40, int(rows.labels.sum()))
        parts.append(store.write_part(str(uri), part, rows))
    return store.complete(str(uri), 1, parts, target=target)


def data_of(**also: object) -> DataConfig:
    spec = {"label": "click", "fields": [FIELD], **also.pop("spec", {})}
    return DataConfig.model_validate({"logs_uri": "logs", "features": spec, **also})


LABELS = (np.arange(120) % 8 == 0).astype(np.float32)
HELD_OUT = Sums.of(np.zeros(40), LABELS[80:])


def test_the_base_rate_is_that_of_the_training_days_alone(tmp_path):
    labels = np.where(np.arange(120) < 80, LABELS, np.arange(120) % 2).astype(np.float32)
    found = baselines(written(tmp_path, labels=labels), data_of(), HELD_OUT)
    assert found.constant == 10 / 80
    assert found.sums.keys() == {"base rate"}
    assert found.sums["base rate"].metrics().ne == pytest.approx(1), "it is judged on the held-out rows as they are"


def test_negatives_that_were_left_away_count(tmp_path):
    # 10 clicks and, of four times as many, 70 others.
    assert baselines(written(tmp_path, labels=LABELS), data_of(negative_share=0.25), HELD_OUT).constant == 10 / 290


def test_rows_count_by_their_weights(tmp_path):
    weights = np.where(LABELS == 1, 3, 0.5).astype(np.float32)
    stored = written(tmp_path, labels=LABELS, row_weights=weights)
    held_out = Sums.of(np.zeros(40), LABELS[80:], weights[80:])
    found = baselines(stored, data_of(spec={"weight": "w"}), held_out)
    assert found.constant == 30 / (30 + 35)
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
    assert (found.constant, found.sums) == (None, {})


@pytest.mark.parametrize("is_weighted", [False, True], ids=["counted", "weighted"])
def test_of_classes_their_shares_in_the_training_days_are_told_of_each_held_out_row(tmp_path, is_weighted: bool):
    labels = np.where(np.arange(120) < 80, np.arange(120) % 4 % 3, np.arange(120) % 3).astype(np.float32)
    weights = np.where(labels == 1, 2, 1).astype(np.float32) if is_weighted else None
    columns = {"labels": labels} | ({"row_weights": weights} if is_weighted else {})
    held_out = ClassSums.of(np.zeros((40, 3)), labels[80:], None if weights is None else weights[80:])
    spec = {"objective": "multiclass"} | ({"weight": "w"} if is_weighted else {})
    found = baselines(written(tmp_path, CLASSES, **columns), data_of(spec=spec), held_out)
    assert found.constant == ((0.4, 0.4, 0.2) if is_weighted else (0.5, 0.25, 0.25))
    each = np.ones(40) if weights is None else weights[80:]
    nats = np.average(-np.log(np.array(found.constant)[labels[80:].astype(int)]), weights=each)
    assert found.sums["class shares"].metrics().log_loss == pytest.approx(nats)


def test_of_numbers_the_mean_of_the_training_days_is_told_of_each_held_out_row(tmp_path):
    labels = np.arange(120).astype(np.float32)
    held_out = NumberSums.of(np.zeros(40), labels[80:])
    found = baselines(
        written(tmp_path, Target("regression"), labels=labels), data_of(spec={"objective": "regression"}), held_out
    )
    assert found.constant == 39.5
    metrics = found.sums["mean"].metrics()
    assert metrics.mae == pytest.approx(60)
    assert metrics.rmse**2 == pytest.approx(60**2 + (40**2 - 1) / 12)


def test_of_classes_that_nothing_was_held_out_of_the_shares_are_known_all_the_same(tmp_path):
    labels = (np.arange(120) % 2).astype(np.float32)
    found = baselines(written(tmp_path, CLASSES, labels=labels), data_of(spec={"objective": "multiclass"}), NO_ROWS)
    assert found.constant == (0.5, 0.5, 0.0)
