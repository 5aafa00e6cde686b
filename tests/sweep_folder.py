"""What a sweep needs in a folder: a config to draw values of, and what to draw."""

from datetime import date
from pathlib import Path

import yaml
from click_logs import SPEC

from pipeline.data.store import Store, StoredPart
from pipeline.sweep.task import Task
from schemas.sweep import SweepConfig, draw_trials

RATE, DENSE_RATE = "stages.fnn.embedding.learning_rate", "stages.fnn.optimizer.learning_rate"
CONFIG = {
    "data": {"logs_uri": "logs", "features": "features.yaml", "validation_share": 0.2},
    "stages": [
        {"name": "fm", "model": "fm", "batch_size": 64},
        {"name": "fnn", "model": "fnn", "init_from": "fm", "batch_size": 64, "mlp": {"hidden": [8]}, "epochs": 2},
        {"name": "dnn", "model": "dnn", "batch_size": 64},
    ],
}


def write_config(folder: Path) -> Path:
    """As features.yaml, train.yaml and sweep.yaml."""
    (folder / "features.yaml").write_text(yaml.safe_dump(SPEC))
    (folder / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    write_sweep(folder)
    return folder


def write_sweep(folder: Path, **changes: object) -> None:
    sweep = {"stage": "fnn", "space": {RATE: {"log_uniform": [0.001, 0.1]}}, **changes}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))


def settings_of(space: dict[str, object], **changes: object) -> SweepConfig:
    return SweepConfig.model_validate({"stage": "fnn", "space": space, **changes})


def task_of(folder: Path, *overrides: str, rates: tuple[float, ...] = (0.1, 0.2)) -> Task:
    """Of a trial of each of the rates, over rows that are nowhere."""
    trials = draw_trials(settings_of({RATE: {"choice": rates}}), folder / "train.yaml", overrides, "sweep.yaml")
    store = Store("nowhere", 40, (StoredPart("train", date(2026, 11, 1), 0, num_rows=1024, num_positives=20),))
    return Task.of("fnn", trials, store, f"{folder}/sweep")
