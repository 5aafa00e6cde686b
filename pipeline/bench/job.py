"""A whole training job as Ray runs it, beside the same steps with rows in memory."""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.bench import machine, step
from pipeline.bench.feed import own_cluster, write_store
from pipeline.bench.shape import Shape
from pipeline.runtime.progress import RATE, Point
from pipeline.training import checkpoint, fitting
from pipeline.training.checkpoint import Progress
from pipeline.training.job import TrainingJob
from pipeline.training.published import stage_uri
from schemas.checking import derived
from schemas.config import CheckpointConfig

HELD_OUT_ROWS = 65_536


@dataclass(frozen=True)
class Record:
    """Adds to a file, a line of JSON a point, what rank 0's process can tell of itself."""

    path: Path

    def __call__(self, point: Point) -> None:
        of_process = {
            "step": point.step,
            "time": time.time(),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "shared_memory_bytes": machine.shared_memory_bytes(),
            "threads": torch.get_num_threads(),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**of_process, **point.metrics}) + "\n")

    def points(self) -> list[dict[str, float]]:
        """Those of steps, not of the looks between them."""
        points = (json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines())
        return [point for point in points if RATE in point]


@dataclass(frozen=True, slots=True)
class Fit:
    """A job that has ended."""

    progress: Progress
    points: list[dict[str, float]]
    """Those of Record."""
    seconds: float


def measure(shape: Shape, num_rows: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Fit one stage on a store of Zipf rows, then measure its steps in a fresh process for about `seconds`.

    The cluster has the worker's CPUs and one for the reader. Memory is that of the rank up to its last step, with what
    it has mapped of Ray's object store.
    """
    config = derived(shape.config(), checkpoint=CheckpointConfig(max_failures=0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"write {num_rows:,} rows")
        stored = write_store(
            f"{folder}/store", {"train": num_rows, "test": HELD_OUT_ROWS}, shape.num_fields, shape.num_ids
        )
        record = Record(folder / "points.jsonl")
        job = TrainingJob(config, stored, f"{folder}/runs/bench", record)
        with own_cluster(num_cpus=shape.threads + 1):
            say("train")
            start = time.perf_counter()
            fitting.fit(job, lambda *_: None)
            seconds_of_fit = time.perf_counter() - start
        progress = checkpoint.read_progress(Path(stage_uri(job.run_uri, config.stages[0].name)))
        fit = Fit(progress, record.points(), seconds_of_fit)
    say("train the same from memory")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        alone = pool.submit(step.measure, shape, seconds).result()
    return report(shape, num_rows, fit, alone)


def report(shape: Shape, num_rows: int, fit: Fit, alone: dict[str, Any]) -> dict[str, Any]:
    """Figures by name, as `step.report` has them, whose report `alone` is."""
    points, rate = fit.points, fit.progress.results["rows_per_second"]
    first, last = points[0], points[-1]
    between = min(last["step"] * shape.batch_size, num_rows) - first["step"] * shape.batch_size
    wall = last["time"] - first["time"]
    return {
        "shape": asdict(shape),
        "settings": fit.progress.settings,
        "rows": num_rows,
        "rows_per_second": rate,
        "rows_per_second_wall": between / wall if wall > 0 else None,
        "data_wait": _data_wait(points),
        "data_wait_after_start": _data_wait(points[1:]) if len(points) > 1 else None,
        "fit_seconds": fit.seconds,
        "threads_of_rank": last["threads"],
        "peak_memory_bytes": last["peak_memory_bytes"],
        "shared_memory_bytes": max(point["shared_memory_bytes"] for point in points),
        "table_bytes": shape.table_bytes,
        "ratios": {"rows_to_step": rate / alone["rows_per_second"]},
        "step": alone,
    }


def _data_wait(points: list[dict[str, float]]) -> float:
    """Share of the steps' seconds, over all points: each tells its share and, by its rate, how long it took."""
    seconds = [1 / point[RATE] for point in points]
    waits = [point["work/data_wait"] * one for point, one in zip(points, seconds, strict=True)]
    return sum(waits) / sum(seconds)
