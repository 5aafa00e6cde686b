"""What a row costs on its way from the log to a written score, and the served model through MLflow.

    python tests/benchmarks/scoring.py --rows 100000

A DeepFM of 300 x 100 is trained on one day of the log that `nightjar generate` writes, by its own spec, and scores the
next. All is on one thread. The parts of `score` are by CPU seconds, which other work on the machine changes less than
the clock's; what the served model takes is by the clock, as whoever waits for it sees it.
"""

import argparse
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from pipeline.data import logs, quality
from pipeline.registry import model_uri
from pipeline.registry.bundle import Bundle
from pipeline.scoring import score
from pipeline.synthetic import log
from pipeline.training import memory
from schemas.config import DataConfig, MLflowConfig

CONFIG = Path(__file__).parents[2] / "jobs/configs/demo.yaml"
ONLY = "[{name: deepfm, model: deepfm, mlp: {hidden: [300, 100]}}]"
ROUNDS = 7
REQUESTS = {1: 1000, 1000: 100, 20_000: 15}  # rows of one -> how many are sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="of a day")
    num_rows = parser.parse_args().rows
    torch.set_num_threads(1)
    memory.keep_freed()  # as `score` does
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        model_folder = trained(folder, num_rows)
        bundle = Bundle.load(model_folder / "artifacts/bundle")
        data = DataConfig(logs_uri=f"{folder}/logs", features=bundle.spec)
        manifest = logs.find(data, logs.days_of(data)[-1:], labelled=False)
        [part] = manifest.parts(num_rows)
        print(f"{manifest.num_rows:,} rows, {bundle.vocabulary.num_ids:,} ids, DeepFM 300 x 100, one thread")
        show_score(bundle, part, manifest.num_rows)
        show_served(bundle, model_folder, pa.concat_tables([table for table, _ in rows_of(part, bundle)]))


def trained(folder: str, num_rows: int) -> Path:
    """The registered model's files."""
    log.generate(f"{folder}/logs", 2, num_rows, seed=7)
    own = {"data.logs_uri": f"{folder}/logs", "work_uri": folder, "stages": ONLY, "control": "false"}
    sets = [f"--set={key}={value}" for key, value in {**own, "cluster.num_workers": "0"}.items()]
    command = [sys.executable, "-m", "jobs", "train", "--config", str(CONFIG), *sets]
    subprocess.run(command, check=True, capture_output=True)
    tracking = model_uri.where_registered("models:/ctr@champion", MLflowConfig(), folder)
    return Path(tracking.client.get_model_version_download_uri("ctr", "1").removeprefix("file://"))


def rows_of(part: logs.Part, bundle: Bundle) -> list[tuple[pa.Table, str]]:
    return list(logs.read_part(part, bundle.spec.scoring_columns))


def show_score(bundle: Bundle, part: logs.Part, num_rows: int) -> None:
    rounds = [seconds_of_phases(bundle, part) for _ in range(1 + ROUNDS)][1:]
    taken = {phase: statistics.median(of_round[phase] for of_round in rounds) for phase in rounds[0]}
    total = taken.pop("score")
    print(f"score: {num_rows / total:,.0f} rows/s a core, {total / num_rows * 1e6:.2f} us a row")
    for phase, seconds in taken.items():
        print(f"  {phase:8} {seconds / num_rows * 1e6:6.3f} us a row  {seconds / total:4.0%}")


def seconds_of_phases(bundle: Bundle, part: logs.Part) -> dict[str, float]:
    """Of each by itself, and of `score`, which is all of them, row group by row group."""
    seconds: dict[str, float] = {}

    def timed(phase: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        done = work()
        seconds[phase] = time.process_time() - began
        return done

    tables = timed("read", lambda: rows_of(part, bundle))
    timed("check", lambda: [quality.check_features(table, bundle.spec, where) for table, where in tables])
    encoded = timed("encode", lambda: [bundle.encoder.encode(table) for table, _ in tables])
    timed("net", lambda: [bundle.logits(rows) for rows in encoded])
    scored = timed("score", lambda: score.score_part(part, bundle, "models:/ctr/1"))
    timed("write", lambda: score.write(scored, io.BytesIO()))
    seconds["score"] += seconds["write"]
    return seconds


def show_served(bundle: Bundle, model_folder: Path, rows: pa.Table) -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    model = mlflow.pyfunc.load_model(str(model_folder))
    features = rows.select(list(bundle.spec.feature_columns))
    print("the served model, through MLflow, beside encoding and net alone:")
    for num_rows, num_requests in REQUESTS.items():
        table = features.slice(0, num_rows)
        frame = table.to_pandas()
        records = pd.DataFrame(json.loads(json.dumps(table.to_pylist())))
        for name, work in {
            "pandas": lambda frame=frame: model.predict(frame),
            "JSON": lambda records=records: model.predict(records),
            "alone": lambda table=table: bundle.probabilities(table),
        }.items():
            taken = [clocked(work) for _ in range(3 + num_requests)][3:]
            p50, p99 = np.percentile(taken, [50, 99])
            rate = f"{len(table) / p50:9,.0f} rows/s"
            print(f"  {len(table):6,} rows, {name:6} {rate}  p50 {p50 * 1e3:7.2f} ms  p99 {p99 * 1e3:7.2f} ms")


def clocked(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
