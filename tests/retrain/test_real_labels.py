"""Classes and numbers of real data that scikit-learn brings, beside its own models on the same rows."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click_logs import write_day
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.data import split
from pipeline.retrain import dataset
from pipeline.training import fitting, results
from pipeline.training.job import TrainingJob, unheard
from schemas.config import TrainConfig

pytestmark = pytest.mark.slow
DAY, SEEDS = date(2026, 11, 1), [0, 1, 2]
DIGITS: dict[str, Any] = {
    "model": "dnn",
    "epochs": 20,
    "batch_size": 32,
    "embedding": {"l2": 0.0},
    "mlp": {"hidden": [256, 128], "dropout": 0.2},
}
DIABETES: dict[str, Any] = {
    "model": "dnn",
    "members": 8,
    "epochs": 10,
    "batch_size": 64,
    "embedding": {"l2": 0.0008},
    "optimizer": {"learning_rate": 0.003},
    "mlp": {"hidden": [32]},
}


def config_of(folder: Path, objective: str, x: NDArray[np.float64], y: pa.Array, net: dict[str, Any]) -> TrainConfig:
    """Of a log of one day, whose rows are held out by a hash of their number."""
    names = [f"x{column:02}" for column in range(x.shape[1])]
    columns = {name: x[:, column] for column, name in enumerate(names)}
    write_day(folder / "logs", DAY, pa.table({"row": np.arange(len(x)), "y": y, **columns}), row_group_size=512)
    scale = {"type": "scale", "to": "unit" if objective == "multiclass" else "standard"}
    fields = [{"name": name, "kind": "numeric", "encoder": scale} for name in names]
    return TrainConfig.model_validate(
        {
            "work_uri": str(folder / "work"),
            "data": {
                "logs_uri": str(folder / "logs"),
                "features": {"label": "y", "objective": objective, "row_key": "row", "fields": fields},
                "split": {"by": "random", "row_key": "row"},
            },
            "table": {"dimension": 4},
            "stages": [{"name": "net", **net}],
            "cluster": {"num_workers": 0},
        }
    )


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """Other rows held out, other first weights."""
    values = config.model_dump(mode="json")
    values["seed"] = values["data"]["split"]["seed"] = seed
    return TrainConfig.model_validate(values)


def figures_of(config: TrainConfig, run: Path) -> dict[str, float]:
    inputs = dataset.find_inputs(config, lambda event: None)
    store = dataset.encoded_store(config, inputs, lambda event: None)
    assert fitting.fit(TrainingJob(config, store, str(run)), unheard) == {}
    return results.progress(str(run), "net").results


def held_out(config: TrainConfig, num_rows: int) -> NDArray[np.bool_]:
    return split.resolve([DAY], config.data).is_held_out(pa.table({"row": np.arange(num_rows)}), DAY)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dnn_reads_digits_better_than_a_logistic_regression(tmp_path, seed):
    digits = load_digits()
    names = pa.array([f"a {digit}" for digit in digits.target])
    config = with_seed(config_of(tmp_path, "multiclass", digits.data, names, DIGITS), seed)
    found, own = figures_of(config, tmp_path / "run"), held_out(config, len(digits.target))
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    accuracy = linear.fit(digits.data[~own], digits.target[~own]).score(digits.data[own], digits.target[own])
    assert found["rows"] == own.sum()
    assert found["accuracy"] >= max(0.97, accuracy)
    assert found["ne"] < 0.06


def test_numbers_are_foretold_as_well_as_by_ridge_regressions(tmp_path):
    """By each as scikit-learn's columns and defaults have it; on average by the best of many on scaled columns."""
    patients, own_columns = load_diabetes(scaled=False), load_diabetes().data
    config = config_of(tmp_path, "regression", patients.data, patients.target, DIABETES)
    r2, best = [], []
    for seed in SEEDS:
        found = figures_of(with_seed(config, seed), tmp_path / str(seed))
        own = held_out(with_seed(config, seed), len(patients.target))
        y, rest = patients.target[own], patients.target[~own]
        tuned = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))).fit(patients.data[~own], rest)
        r2.append(1 - found["ne"])
        best.append(tuned.score(patients.data[own], y))
        assert r2[-1] >= Ridge().fit(own_columns[~own], rest).score(own_columns[own], y)
        assert found["rmse"] == pytest.approx(np.sqrt(found["ne"]) * y.std(), rel=1e-5), "NE is 1 less R2"
    assert np.mean(r2) >= np.mean(best)
