"""What `nightjar init` makes of logs that were imported, against the configs by hand that imports write beside them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import nightjar
from log_files import AVAZU_HEADER, avazu_line, criteo_line, write

from schemas.config import TrainConfig
from schemas.loading import load

ROWS, DAYS = 16_000, 4
BY_LINE = ("--first-day", "2026-11-01", "--rows-per-day", str(ROWS // DAYS))
Row = tuple[int, list[int], int]


def rows() -> Iterator[Row]:
    """(click, values of three ids, a count) of rows whose clicks go by both."""
    drawn = np.random.default_rng(5)
    ids = np.add(np.minimum(drawn.zipf(1.3, (ROWS, 3)), [200, 60, 8]), [0, 1000, 2000])
    counts = drawn.geometric(0.1, ROWS)
    tastes = drawn.normal(size=3000)
    logit = tastes[ids].sum(axis=1) + 0.5 * np.log(counts) - 2.5
    clicks = (drawn.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)
    yield from zip(clicks.tolist(), ids.tolist(), counts.tolist(), strict=True)


def criteo(folder: Path) -> Path:
    lines = []
    for click, ids, count in rows():
        hexes = [*(f"{one:08x}" for one in ids), *[""] * 23]
        numbers = [count, *[count % 7] * 11, ""]
        lines.append("\t".join([*criteo_line(click, numbers).split("\t")[:-26], *hexes]))
    return write(folder / "train.txt", lines)


def avazu(folder: Path) -> Path:
    lines = [AVAZU_HEADER]
    for number, (click, ids, count) in enumerate(rows()):
        values = avazu_line(f"{number}", click, f"1410{21 + number * DAYS // ROWS}{number % 24:02}").split(",")
        values[5:8], values[20] = [f"{one:08x}" for one in ids], str(count)
        lines.append(",".join(values))
    return write(folder / "train.csv", lines)


def libsvm(folder: Path) -> Path:
    lines = [f"{2 * click - 1} " + " ".join(f"{one}:1" for one in ids) for click, ids, _ in rows()]
    return write(folder / "clicks.svm", lines)


def libffm(folder: Path) -> Path:
    lines = [f"{click} " + " ".join(f"{field}:{one}:1" for field, one in enumerate(ids)) for click, ids, _ in rows()]
    return write(folder / "clicks.ffm", lines)


def trained(*arguments: str, folder: Path) -> dict[str, Any]:
    done = nightjar("train", *arguments, "--json", cwd=folder)
    assert done.exit_code == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def best_ne(told: dict[str, Any]) -> float:
    return float(min(stage["ne"] for stage in told["stages"].values()))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("of_format", [criteo, avazu, libsvm, libffm])
def test_nothing_edited_both_configs_of_an_imported_log_train_and_inits_to_within_a_hundredth_of_the_imports(
    tmp_path, monkeypatch, of_format: Callable[[Path], Path]
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    name = of_format.__name__
    options = () if name == "avazu" else BY_LINE
    imported = nightjar("import", name, str(of_format(tmp_path)), *options, "--out", "logs", cwd=tmp_path)
    assert imported.exit_code == 0, imported.stderr
    done = nightjar("init", "logs", "--out", "my.yaml", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    by_hand, config = (load(TrainConfig, tmp_path / file) for file in (f"{name}.yaml", "my.yaml"))
    assert config.data.features.label == by_hand.data.features.label
    assert config.data.features.row_key == by_hand.data.features.row_key
    of_import = trained("--config", f"{name}.yaml", folder=tmp_path)
    assert of_import["model_uri"] == f"models:/{name}/1"
    of_init = trained("--config", "my.yaml", "--register", "none", folder=tmp_path)
    assert best_ne(of_init) <= 1.01 * best_ne(of_import)
