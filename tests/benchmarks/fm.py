"""How fast FM trains beside DeepFM on the log that `nightjar generate` writes, by its own spec, and how fast it is fed.

    python tests/benchmarks/fm.py --rows 400000 --batch-size 4096

The models take turns, each on one thread that prepares its batches too. Rates are by that thread's own time, which
other work on the machine changes less than the clock's; those of the feed too, but for Ray Data's, which reads in
another process: that is by the clock. A feed's rows are read, shuffled and sliced, as a rank has them.
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pipeline.bench.feed import own_cluster
from pipeline.data import feed, logs, passes, store, vocabulary
from pipeline.data.batch import Batch
from pipeline.data.encode import Encoder
from pipeline.data.logs import read_part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import Store, StoredPart
from pipeline.data.windows import local_windows
from pipeline.embedding.sharding import place
from pipeline.synthetic import log
from pipeline.training import initialize, loop, memory
from pipeline.training.rank import Rank
from pipeline.training.step import build_step
from schemas import loading
from schemas.config import TrainConfig

CONFIG = Path(__file__).parents[2] / "jobs/configs/demo.yaml"
MODELS = {"FM": ("fm", True), "FM without Numba": ("fm", False), "DeepFM, 300 x 100": ("deepfm", False)}
NUM_ROUNDS = 5
ROWS_OF_ROUND = 160_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--batch-size", type=int, default=4096)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    memory.keep_freed()
    with tempfile.TemporaryDirectory() as folder:
        log.generate(f"{folder}/logs", 1, arguments.rows, seed=7)
        sizes = [f"stages.{name}.batch_size={arguments.batch_size}" for name in ("fm", "deepfm")]
        config = loading.load(TrainConfig, CONFIG, [f"data.logs_uri={folder}/logs", *sizes])
        stored = encoded(config, folder)
        rates = model_rates(config, stored, arguments.batch_size) | feed_rates(config, stored, arguments.batch_size)
    print(f"{arguments.rows:,} rows, {stored.num_ids:,} ids, batches of {arguments.batch_size:,}")
    for name, rate in rates.items():
        print(f"  {name:32} {rate:12,.0f} rows/s  {rate / rates['DeepFM, 300 x 100']:6.1f} times DeepFM's")


def encoded(config: TrainConfig, folder: str) -> Store:
    """As `train` encodes it, in this process."""
    data = config.data
    manifest = logs.find(data, [log.FIRST_DATE])
    parts = manifest.parts(data.rows_per_part)
    tables = [table for part in parts for table, _ in read_part(part, data.features.columns)]
    counts = vocabulary.merge(pa.concat_tables([vocabulary.count(table, data.features) for table in tables]))
    vocab = vocabulary.build(data.features, counts)
    encoder, stored = Encoder(vocab), []
    for part in parts:
        rows = passes.encode_part(part, encoder, data, ResolvedSplit(manifest.days, ()), 0)["train"]
        found = StoredPart("train", part.day, part.index, len(rows), int(rows.labels.sum()))
        stored.append(store.write_part(f"{folder}/store", found, rows))
    return Store(f"{folder}/store", vocab.num_ids, tuple(stored))


def model_rates(config: TrainConfig, stored: Store, batch_size: int) -> dict[str, float]:
    num_fields = len(config.data.features.fields)
    batches = list(sliced(local_windows(stored, "train", num_fields, 0, 1), batch_size))
    steps = {name: trainer(config, stored, cycle(batches), *kind) for name, kind in MODELS.items()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    num_steps = ROWS_OF_ROUND // batch_size
    for _ in range(1 + NUM_ROUNDS):
        for name, of_model in steps.items():
            rates[name].append(num_steps * batch_size / seconds(time.thread_time, islice(of_model, num_steps)))
    return {name: statistics.median(found[1:]) for name, found in rates.items()}


def trainer(
    config: TrainConfig, stored: Store, batches: Iterator[Batch], stage_name: str, is_fused: bool
) -> Iterator[loop.Step]:
    """The steps of the real loop."""
    cluster = config.cluster.model_copy(update={"fused": is_fused})
    rank = Rank(config.model_copy(update={"cluster": cluster}), stored, run_uri="")
    (stage,) = (stage for stage in config.stages if stage.name == stage_name)
    state = initialize.from_scratch(stage, config, stored.num_ids, rank.prior)
    step = build_step(rank, stage, state, place(state.table, stored.num_ids, config.table, None, is_fused))
    return loop.train(state, step, map(step.prepare, batches), stage, num_steps=10**6)


def feed_rates(config: TrainConfig, stored: Store, batch_size: int) -> dict[str, float]:
    """Of Ray Data, once the first window is there: to begin takes it a second an epoch."""
    num_fields, num_rows = len(config.data.features.fields), stored.num_rows("train")
    local = [
        seconds(time.process_time, sliced(local_windows(stored, "train", num_fields, 0, 1), batch_size))
        for _ in range(NUM_ROUNDS)
    ]
    with own_cluster(num_cpus=1):
        rows = feed.dataset(stored, "train")
        rows.context.execution_options = feed.execution_options(num_ranks=1)
        (shard,) = rows.streaming_split(1, equal=True)
        by_ray = []
        for _ in range(NUM_ROUNDS):
            windows = feed.windows(shard, num_fields)
            first = next(windows)
            rest = seconds(time.perf_counter, sliced(windows, batch_size))
            by_ray.append((num_rows - len(first)) / rest)
    return {
        "feed, this process": num_rows / statistics.median(local),
        "feed, Ray Data, one core": statistics.median(by_ray),
    }


def sliced(windows: Iterable[Rows], batch_size: int) -> Iterator[Batch]:
    for number, rows in enumerate(windows):
        shuffled = rows.take(np.random.default_rng(number).permutation(len(rows)))
        for start in range(0, len(rows) - batch_size + 1, batch_size):
            yield Batch.of(shuffled, start, start + batch_size)


def seconds(clock: Callable[[], float], work: Iterable[object]) -> float:
    start = clock()
    deque(work, maxlen=0)
    return clock() - start


if __name__ == "__main__":
    main()
