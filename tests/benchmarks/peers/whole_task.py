"""What a runner of a whole training is asked for and what it answers; like `task.py`, read in a peer's environment."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class WholeTask:
    """Train on all days of the log but the held-out one, once, and judge the model on that day."""

    logs: str
    """A folder of `date=YYYY-MM-DD/` partitions."""
    held_out: str
    categorical: list[str]
    numeric: list[str]
    min_count: int
    """A value of fewer training rows than that is as one never seen, where the peer can do so."""
    batch_size: int
    dimension: int
    hidden: list[int]
    autocast: bool
    """Whether layers multiply in bfloat16, by torch's autocast around the peer's fit."""

    @classmethod
    def from_arguments(cls) -> "tuple[WholeTask, Path]":
        """The first argument, a JSON object, and the second, a folder to write to."""
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True)
        return cls(**json.loads(sys.argv[1])), folder

    @property
    def training_files(self) -> list[Path]:
        return [file for file in self._files("*") if file.parent.name != f"date={self.held_out}"]

    @property
    def held_out_files(self) -> list[Path]:
        return self._files(self.held_out)

    def is_text(self, column: str) -> bool:
        return str(pq.read_schema(self.held_out_files[0]).field(column).type) in ("string", "large_string")

    def _files(self, day: str) -> list[Path]:
        return sorted(Path(self.logs).glob(f"date={day}/*.parquet"))


class Stopwatch:
    """The seconds of each phase, from one mark to the next."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def mark(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase], self._last = now - self._last, now

    def answer(self, metrics: dict[str, Any], saved: Path) -> None:
        """Print phases and metrics as the last line."""
        found = {name: float(value) for name, value in metrics.items()}
        print(json.dumps({"seconds": self.seconds, "metrics": found, "saved_bytes": saved.stat().st_size}))
