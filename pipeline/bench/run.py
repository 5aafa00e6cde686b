"""A whole retrain as its command runs it, from Parquet to a registered model, beside the limits of the machine."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.bench import click_log, machine, tree_memory
from pipeline.bench.click_log import LogShape
from pipeline.bench.clicks import CLICK_RATE
from pipeline.bench.shape import Run
from pipeline.bench.tree_memory import Samples
from pipeline.bench.work import dense_flops
from pipeline.data import store as stores
from pipeline.report import plots
from pipeline.runtime.progress import Phase, seconds_of
from pipeline.synthetic import log
from pipeline.training import initialize
from pipeline.training.prior import Prior
from schemas.config import TrainConfig
from schemas.errors import Failure, Refusal
from schemas.loading import load

LIMIT_SECONDS = 0.5  # for each, after the run
MOST_ROWS_READ = 2_000_000  # to tell how fast columns are read
PASSES = ("count values", "encode rows")
FORMATS = ("fp32", "bf16")
ELSEWHERE = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")  # a cluster and a server would be measured with it


def measure(
    run: Run, folder: Path, command: Sequence[str], features: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write the log into the folder, then retrain on it by `command`, which is `nightjar`, in a process of its own.

    `features` is the spec of generated logs. What was just written is read from the page cache. Raises Refusal where
    the folder has a run's work already, which would be found finished, or another log.
    """
    work = folder / "work"
    if work.exists():
        remedy = "remove it, or give another folder"
        raise Refusal(found="the work of an earlier run", expected="none yet", where=str(work), remedy=remedy)
    say(f"write {run.num_rows:,} rows")
    start = time.perf_counter()
    spec = _write_log(run, folder / "logs", features)
    generate_seconds = time.perf_counter() - start
    path = folder / "bench.json"  # which is YAML, too
    path.write_text(json.dumps(run.config(folder, spec)), encoding="utf-8")
    say("train")
    timed = _retrain([*command, "train", "--config", str(path), "--json"])
    say("measure the machine")
    config = load(TrainConfig, path, [])
    rows_read, read_seconds = _read(sorted((folder / "logs").rglob("*.parquet")), config)
    measured = {"rows_per_second": rows_read / read_seconds, **machine.rates(run.model.threads, LIMIT_SECONDS)}
    prior = Prior.of_clicks(CLICK_RATE)
    model = initialize.from_scratch(config.stages[0], config, len(config.data.features.fields), prior).model
    return {
        "shape": asdict(run.model),
        "preset": run.preset,
        "rows": run.num_rows,
        "days": run.num_days,
        "workers": run.num_workers,
        "cpus": os.cpu_count(),
        "fields": len(config.data.features.fields),
        "ids": _num_ids(config),
        "ne": timed.summary["stages"][run.model.model]["ne"],
        "generate_seconds": generate_seconds,
        **report(timed, measured, dense_flops(model)),
    }


@dataclass(frozen=True, slots=True)
class Timed:
    """A retrain that is over: from when to when, in seconds since 1970, what it says, and what it held in memory."""

    began: float
    ended: float
    summary: dict[str, Any]
    samples: Samples

    @property
    def phases(self) -> list[Phase]:
        """Those that it tells, and what comes after them until its process is gone."""
        told = [Phase(**one) for one in self.summary["phases"]]
        return [*told, Phase("end", max(one.ended for one in told), self.ended - self.began)]

    def peak_bytes(self, phase: Phase) -> int | None:
        return self.samples.peak_bytes(self.began + phase.began, self.began + phase.ended)


def report(timed: Timed, limits: dict[str, float], flops_per_row: int) -> dict[str, Any]:
    """Figures by name, sizes and durations in the unit that the name ends in; shares and ratios are of 1.

    `between_seconds` belong to no phase. The passes are those that count and encode, both together.
    """
    whole, phases = timed.ended - timed.began, timed.phases
    of_passes = [phase for phase in phases if phase.name in PASSES]
    passes = max(phase.rows for phase in of_passes) / sum(phase.seconds for phase in of_passes)
    steps = next(rate for phase in phases if phase.name == "steps" and (rate := phase.rows_per_second))
    return {
        "seconds": whole,
        "between_seconds": whole - sum(seconds_of(phases).values()),
        "peak_memory_bytes": timed.samples.peak_bytes(),
        "phases": [
            {
                **asdict(phase),
                "seconds": phase.seconds,
                "share": phase.seconds / whole,
                "rows_per_second": phase.rows_per_second,
                "peak_memory_bytes": timed.peak_bytes(phase),
            }
            for phase in phases
        ],
        "passes_rows_per_second": passes,
        "steps_rows_per_second": steps,
        "flops_per_row": flops_per_row,
        "limits": limits,
        "ratios": {
            "passes_to_read": passes / limits["rows_per_second"],
            **{f"steps_to_{name}": steps * flops_per_row / limits[f"{name}_flops_per_second"] for name in FORMATS},
        },
    }


def _write_log(run: Run, logs: Path, features: Path) -> str | dict[str, object]:
    """Its spec, or the file that has it."""
    if run.preset is not None:
        log.generate(str(logs), run.num_days, run.num_rows // run.num_days, run.seed, preset=run.preset)
        return str(features)
    shape = LogShape(run.num_rows, run.num_days, run.model.num_fields, run.model.num_ids)
    click_log.write(logs, shape)
    return shape.spec


def _retrain(command: Sequence[str]) -> Timed:
    """What it tells as it goes on comes to our own stderr."""
    own = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    began = time.time()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own) as process,  # noqa: S603
        tree_memory.watched(process.pid) as samples,
    ):
        assert process.stdout is not None
        said = process.stdout.read()
        process.wait()
        ended = time.time()
    if process.returncode:
        raise Failure(f"the retrain that was to be measured ended with exit code {process.returncode}")
    return Timed(began, ended, json.loads(said.splitlines()[-1]), samples)


def _read(parts: Sequence[Path], config: TrainConfig) -> tuple[int, float]:
    """Rows and seconds of reading the columns of the spec, and no more, with all cores; of the first parts of many."""
    rows, start = 0, time.perf_counter()
    for part in parts:
        rows += len(pq.read_table(part, columns=list(config.data.features.columns), partitioning=None))
        if rows >= MOST_ROWS_READ:
            break
    return rows, time.perf_counter() - start


def _num_ids(config: TrainConfig) -> int:
    [store] = [one for one in Path(config.work_uri, "encoded").iterdir() if one.name != "days"]
    return stores.read_vocabulary(str(store), config.data.features).num_ids


def draw(report: dict[str, Any], path: Path, title: str) -> None:
    """The waterfall of a report, as a picture."""
    names = {one.name for one in fields(Phase)}
    phases = [Phase(**{name: value for name, value in one.items() if name in names}) for one in report["phases"]]
    plots.plot_waterfall(phases, title).savefig(path)
