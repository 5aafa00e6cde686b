"""From the same Parquet files to a saved model: Nightjar's `train` against what its peers' users write, by the clock.

Nightjar counts, encodes, trains, judges the model on the held-out day, registers it and makes it champion; a peer runs
its own preprocessing, fits, and saves weights. `peers.py` has the command.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipeline.bench import click_log, tree_memory
from pipeline.bench.click_log import LogShape

ROOT = Path(__file__).resolve().parents[2]
RUNNERS = Path(__file__).resolve().with_name("peers")
BATCH_SIZE, DIMENSION = 4096, 16
ROWS_PER_DAY = 100_000  # of which the last day's are held out
WIDE_FIELDS, WIDE_VALUES = 39, 1_000_000


@dataclass(frozen=True)
class Log:
    """A log to train on, and the net."""

    key: str
    num_days: int
    hidden: list[int]
    categorical: list[str]
    numeric: list[str]
    ignored: list[str]
    min_count: int
    in_both_precisions: bool
    """Nightjar's layers also in float32, its peers' also in bfloat16: by default it is the other way round."""
    write: Callable[[Path, int], None]
    """Into a folder, so many days."""

    @property
    def title(self) -> str:
        rows = (self.num_days - 1) * ROWS_PER_DAY
        columns = len(self.categorical) + len(self.numeric)
        return f"{rows:,} rows to train on, {columns} columns, DeepFM {'x'.join(map(str, self.hidden))}"

    @property
    def held_out(self) -> date:
        return click_log.FIRST_DATE + timedelta(self.num_days - 1)

    def spec(self) -> dict[str, Any]:
        encoder = {"type": "vocabulary", "min_count": self.min_count}
        fields = [{"name": name, "kind": "categorical", "encoder": encoder} for name in self.categorical]
        scale = {"type": "scale", "to": "standard"}
        fields += [{"name": name, "kind": "numeric", "encoder": scale} for name in self.numeric]
        return {"label": "click", "ignored": self.ignored, "fields": fields}

    def config(self, folder: Path) -> dict[str, Any]:
        stage = {
            "name": "deepfm",
            "model": "deepfm",
            "batch_size": BATCH_SIZE,
            "epochs": 1,
            "embedding": {"learning_rate": 0.1, "l2": 1e-5},
            "optimizer": {"name": "adam", "learning_rate": 0.002},
            "mlp": {"hidden": self.hidden},
        }
        return {
            "work_uri": str(folder / "work"),
            "data": {"logs_uri": str(folder / "logs"), "features": str(folder / "spec.yaml"), "split": {"by": "date"}},
            "table": {"dimension": DIMENSION, "init_deviation": 0.05},
            "stages": [stage],
        }


@dataclass(frozen=True)
class Entrant:
    """Who runs: Nightjar under some options, or a peer's runner by the python of its environment."""

    title: str
    command: Sequence[str | Path]


@dataclass(frozen=True)
class Lap:
    seconds: float
    peak_bytes: int
    said: dict[str, Any]
    """The entrant's last line: Nightjar's summary, or a runner's answer."""

    @property
    def auc(self) -> float:
        """On the held-out day."""
        return float(self.said["stages"]["deepfm"]["auc"] if "stages" in self.said else self.said["metrics"]["AUC"])


def write_generated(folder: Path, num_days: int) -> None:
    """By `nightjar generate`: few of its columns are used, as its users and items alone make sparse ids."""
    options = ["--days", str(num_days), "--rows-per-day", str(ROWS_PER_DAY), "--seed", "7"]
    command = [sys.executable, "-m", "jobs", "generate", folder, *options]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def write_wide(folder: Path, num_days: int) -> None:
    """As wide as Criteo's log."""
    click_log.write(folder, LogShape(num_days * ROWS_PER_DAY, num_days, WIDE_FIELDS, WIDE_VALUES))


ADS_COLUMNS = ["user_id", "item_id", "advertiser_id", "site_id", "category", "country", "device", "hour"]
LOGS = (
    Log(
        key="whole-ads",
        num_days=15,
        hidden=[300, 100],
        categorical=[*ADS_COLUMNS, "num_past_views"],
        numeric=["user_ctr"],
        ignored=["row_id", "interests", "price", "balance_delta"],
        min_count=2,
        in_both_precisions=False,
        write=write_generated,
    ),
    Log(
        key="whole-wide",
        num_days=21,
        hidden=[400, 400, 400],
        categorical=[f"field_{number}" for number in range(WIDE_FIELDS)],
        numeric=[],
        ignored=[],
        min_count=1,
        in_both_precisions=True,
        write=write_wide,
    ),
)


def prepare(log: Log, folder: Path) -> Path:
    """Write the log and its config; returns the config."""
    log.write(folder / "logs", log.num_days)
    (folder / "spec.yaml").write_text(yaml.safe_dump(log.spec()))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(log.config(folder)))
    return path


def nightjars(config: Path, log: Log) -> list[Entrant]:
    """In the command's own process, and with a Ray worker."""
    train = [sys.executable, "-m", "jobs", "train", "--config", config, "--json", "--set"]
    own_process = [*train, "cluster.num_workers=0"]
    found = [
        Entrant("Nightjar", own_process),
        Entrant("Nightjar, a Ray worker", [*train, "cluster.num_workers=1"]),
    ]
    if log.in_both_precisions:
        found.append(Entrant("Nightjar, float32", [*own_process, "--set", "cluster.precision=float32"]))
    return found


def peer(title: str, python: Path, runner: str, log: Log, folder: Path, autocast: bool = False) -> Entrant:
    """`autocast`: its layers multiply in bfloat16, by torch's autocast around its fit."""
    task = {
        "logs": str(folder / "logs"),
        "held_out": str(log.held_out),
        "categorical": log.categorical,
        "numeric": log.numeric,
        "min_count": log.min_count,
        "batch_size": BATCH_SIZE,
        "dimension": DIMENSION,
        "hidden": log.hidden,
        "autocast": autocast,
    }
    return Entrant(f"{title}, bfloat16" if autocast else title, [python, RUNNERS / runner, json.dumps(task)])


def run(entrant: Entrant, folder: Path, environment: dict[str, str]) -> Lap:
    """From the start of its process to its end, in an empty work folder."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        began = time.perf_counter()
        extra = ["--set", f"work_uri={name}/work"] if "train" in entrant.command else [f"{name}/work"]
        process = subprocess.Popen(
            [*entrant.command, *extra],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with tree_memory.watched(process.pid) as memory:
            said, errors = process.communicate()
        seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{entrant.title} exited {process.returncode}:\n{(said + errors)[-3000:]}")
    return Lap(seconds, memory.peak_bytes() or 0, json.loads(said.splitlines()[-1]))
