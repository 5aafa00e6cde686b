"""What a tiny retrain takes from start to end, beside a Ray Train job that does nothing; in turns, in fresh processes.

    python tests/benchmarks/startup.py --repeats 3

The log has 8 days of 2,000 rows and the config is the demo's: the difference is what Nightjar itself takes for counting
and encoding, four stages, MLflow and the registry, and the rest is Ray's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "jobs" / "configs" / "demo.yaml"
LOG = ("--days", "8", "--rows-per-day", "2000", "--preset", "apps")
BARE_JOB = """
import logging
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
ray.init(address="local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
TorchTrainer(
    lambda: None,
    scaling_config=ScalingConfig(num_workers=1),
    run_config=RunConfig(name="bare", storage_path={storage!r}),
).fit()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    train_seconds, bare_seconds = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nightjar = [sys.executable, "-m", "jobs"]
        subprocess.run([*nightjar, "generate", f"{folder}/logs", *LOG], check=True, stdout=subprocess.DEVNULL)
        for i in range(repeats):
            sets = [f"data.logs_uri={folder}/logs", f"work_uri={folder}/work-{i}"]
            train = [*nightjar, "train", "--config", str(CONFIG), *(word for one in sets for word in ("--set", one))]
            train_seconds.append(seconds_of(train))
            bare_seconds.append(seconds_of([sys.executable, "-c", BARE_JOB.format(storage=f"{folder}/bare-{i}")]))
            print(
                f"repeat {i + 1}: nightjar train {train_seconds[-1]:.1f} s, bare job {bare_seconds[-1]:.1f} s",
                flush=True,
            )
    train, bare = statistics.median(train_seconds), statistics.median(bare_seconds)
    print(f"median: nightjar train {train:.1f} s, bare job {bare:.1f} s, difference {train - bare:.1f} s")


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"exit {done.returncode} of {' '.join(command)}\n{done.stderr}")
    return seconds


if __name__ == "__main__":
    main()
