"""A folder in which nights are run: a log of some days, and a config whose model gets better with each of them."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from click_logs import SPEC, write_day, write_random_log
from command import Done, nightjar
from mlflow import MlflowClient

from pipeline.nights import records
from pipeline.nights.records import Night
from pipeline.registry import model_uri
from pipeline.registry.tracking import Tracking, connect
from pipeline.runtime import trusted
from schemas.config import TrainConfig
from schemas.loading import load

ROWS = 600  # a day
MODEL = "ctr"
TRIPLED, ONE_CLASS, NEWEST = 9, 10, 11  # days of tests/nights
# So slow a learner gets clearly better by each day that it sees: no verdict hangs on how the rows have fallen.
STAGE = {"name": "fm", "model": "fm", "epochs": 1, "batch_size": 50, "embedding": {"learning_rate": 0.02}}
GATE = {
    "ne_margin": 0.1,
    "min_rows": 100,
    "min_positives": 10,
    "calibration": [0.5, 2.0],
    "max_auc_error": 0.1,
    "golden_rows": 0,
    "num_replicates": 20,
}


def day(number: int) -> date:
    """Of November; the log begins with 1."""
    return date(2026, 11, 1) + timedelta(number - 1)


@dataclass(frozen=True)
class NightFolder:
    """With logs/, nightly.yaml and work/."""

    path: Path

    @classmethod
    def write(cls, path: Path, num_days: int, **changes: Any) -> "NightFolder":
        """`changes` are keys of the config's top level."""
        write_random_log(path / "logs", num_days, ROWS)
        config = {
            "work_uri": str(path / "work"),
            "data": {"logs_uri": str(path / "logs"), "features": SPEC},
            "table": {"dimension": 4},
            "stages": [STAGE],
            "cluster": {"num_workers": 0},
            "night": {"gate": GATE},
        }
        (path / "nightly.yaml").write_text(yaml.safe_dump(config | changes))
        return cls(path)

    def copy(self, path: Path) -> "NightFolder":
        """All of it at another place, where nights go on without touching this one."""
        for folder in ("logs", "work"):
            shutil.copytree(self.path / folder, path / folder, ignore=shutil.ignore_patterns("mlflow.db*"))
        database, (here, there) = path / "work" / "mlflow.db", (f"{self.path}/", f"{path}/")
        with contextlib.closing(sqlite3.connect(database)) as copied:
            copied.execute("PRAGMA journal_mode=WAL")
            copied.executescript("\n".join(self.all_of_mlflow()).replace(here, there))
        (path / "nightly.yaml").write_text((self.path / "nightly.yaml").read_text().replace(here, there))
        for record in (path / "work" / "nights").glob("**/*.json"):
            moved = json.dumps(trusted.unsealed(record.read_bytes())).replace(here, there)
            record.write_bytes(trusted.sealed(json.loads(moved)))
        return NightFolder(path)

    def config(self, *overrides: str) -> TrainConfig:
        return load(TrainConfig, self.path / "nightly.yaml", overrides)

    def run(self, verb: str, *arguments: str, **overrides: Any) -> Done:
        """A command; dots of the overridden keys are written as two underscores."""
        sets = [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in overrides.items()]
        options = [word for one in sets for word in ("--set", one)]
        return nightjar(verb, "--config", "nightly.yaml", *arguments, *options, cwd=self.path)

    def night(self, number: int, **overrides: Any) -> Done:
        return self.run("nightly", "--date", str(day(number)), **overrides)

    def records(self) -> list[Night]:
        return records.all_of(self.config())

    def record(self, number: int) -> Night:
        """The newest of that day."""
        of_day = [night for night in self.records() if night.day == day(number)]
        return max(of_day, key=lambda night: self.client.get_run(night.run_id).info.start_time)

    @property
    def tracking(self) -> Tracking:
        config = self.config()
        return connect(config.mlflow, config.work_uri)

    @property
    def client(self) -> MlflowClient:
        return self.tracking.client

    def aliases(self) -> dict[str, str]:
        return {alias: str(number) for alias, number in self.client.get_registered_model(MODEL).aliases.items()}

    def all_of_mlflow(self) -> list[str]:
        """Every row of every table."""
        with contextlib.closing(sqlite3.connect(self.path / "work" / "mlflow.db")) as database:
            return list(database.iterdump())

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever happens within, MLflow is as before, aliases and all."""
        before = self.all_of_mlflow()
        yield
        assert self.all_of_mlflow() == before

    def children(self, night: Night) -> dict[str, dict[str, float]]:
        """Stage -> final figures; all are to have finished."""
        experiment_id = self.tracking.experiment_id
        found = self.client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{night.run_id}'")
        assert {run.info.status for run in found} <= {"FINISHED"}
        return {run.data.tags["nightjar.stage"]: run.data.metrics for run in found}

    def learned_days(self, version: int | str) -> list[int]:
        """Of November, by what the version's bundle says."""
        bundle = model_uri.load_bundle(self.tracking, f"models:/{MODEL}/{version}")
        return [one.day for one in bundle.contents.origin.training_days]

    def rewrite(self, number: int, column: str, values: list[Any], name: str = "") -> None:
        """A day again with other values in one column, which is then called `name`."""
        table = pq.read_table(self.path / f"logs/date={day(number)}/part-0.parquet", partitioning=None)
        place = table.column_names.index(column)
        changed = table.set_column(place, name or column, pa.array(values, table.schema.field(column).type))
        write_day(self.path / "logs", day(number), changed, row_group_size=ROWS // 4)
