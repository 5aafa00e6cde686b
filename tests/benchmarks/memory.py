"""Peak memory of training on the synthetic log at two sizes: a rank must not hold more for there being more rows.

    python tests/benchmarks/memory.py --rows 1000000 20000000

Days are drawn once and stand under as many dates as the rows need, as hard links, so that the vocabulary is about the
same at every size. Each size runs in processes of its own: count, encode, train FM and DeepFM with the demo's settings.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from pipeline.bench import tree_memory

CONFIG = Path(__file__).parents[2] / "jobs" / "configs" / "demo.yaml"
FIRST_DATE = date(2020, 1, 1)
MOST_ROWS_PER_DAY = 500_000
DRAWN_DAYS = 2
STAGES = ["fm", "deepfm"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000], help="to train on; two sizes")
    parser.add_argument("--train", nargs=2, metavar=("LOGS", "WORK"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(*arguments.train)
        return
    found = []
    rows_per_day = min(MOST_ROWS_PER_DAY, min(arguments.rows) // DRAWN_DAYS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = draw(folder / "drawn", rows_per_day)
        for rows in arguments.rows:
            logs, work = folder / f"logs-{rows}", folder / f"work-{rows}"
            replicate(drawn, logs, -(-rows // rows_per_day) + 1)
            command = [sys.executable, __file__, "--train", str(logs), str(work)]
            found.append(measured(command))
            print(", ".join(f"{key} {value:,}" for key, value in found[-1].items()), flush=True)
    for key in ("rank_bytes", "driver_bytes", "tree_bytes"):
        print(
            f"{key}: {found[-1][key] / found[0][key]:.2f} times as much for {rows / arguments.rows[0]:g} times the rows"
        )


def measured(command: list[str]) -> dict[str, int]:
    """What the command prints at its end, and the peak of what it and all that it started have held together.

    Memory that processes share counts once, looked at twice a second.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with tree_memory.watched(process.pid) as samples:
            printed = process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    found: dict[str, int] = json.loads(printed.splitlines()[-1])
    return {**found, "tree_bytes": samples.peak_bytes() or 0}


def draw(folder: Path, rows_per_day: int) -> list[Path]:
    """Two days of rows, one of which the held-out day will be."""
    from pipeline.synthetic import log

    log.generate(str(folder), DRAWN_DAYS, rows_per_day, seed=7, preset="apps")
    return sorted(folder.glob("date=*"))


def replicate(drawn: list[Path], logs: Path, num_days: int) -> None:
    """The drawn days in turn, under `num_days` dates."""
    for i in range(num_days):
        day = logs / f"date={FIRST_DATE + timedelta(days=i)}"
        day.mkdir(parents=True)
        for file in drawn[i % len(drawn)].iterdir():
            os.link(file, day / file.name)


def train(logs: str, work: str) -> None:
    """Encode and fit, and print the peaks as one line of JSON."""
    from pipeline.bench.job import Record
    from pipeline.bench.machine import peak_memory_bytes
    from pipeline.retrain.dataset import encoded_store, find_inputs
    from pipeline.runtime import cluster
    from pipeline.training import fitting
    from pipeline.training.job import TrainingJob
    from schemas.config import TrainConfig
    from schemas.loading import load

    config = load(TrainConfig, CONFIG, [f"data.logs_uri={logs}", f"work_uri={work}"])
    stages = tuple(stage for stage in config.stages if stage.name in STAGES)
    config = config.model_copy(update={"stages": stages})
    with cluster.connected(config.cluster):
        store = encoded_store(config, find_inputs(config, lambda _: None), lambda _: None)
        record = Record(Path(work) / "points.jsonl")
        fitting.fit(TrainingJob(config, store, f"{work}/runs/memory", record), lambda point: None)
    found = {
        "rows": store.num_rows("train"),
        "table_bytes": store.num_ids * (1 + config.table.dimension + 1) * 4,
        "rank_bytes": int(max(point["peak_memory_bytes"] for point in record.points())),
        "driver_bytes": peak_memory_bytes(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
