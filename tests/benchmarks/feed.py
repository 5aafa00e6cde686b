"""What a row costs on its way from the store into a step, part by part, and how long a step waits for it.

    python tests/benchmarks/feed.py --rows 1000000
    python tests/benchmarks/feed.py --rows 3000000 --fields 13 --vocab 100000

Of the log that `nightjar generate` writes, by its own spec; with --fields, of rows of one id a field, by Zipf's law.
The parts one after another are in nanoseconds of the processor, of all threads of this process, which other work on the
machine changes less than the clock's. A stage in this process has a thread that reads, shuffles and slices, one that
prepares, and one that takes the steps: what of its time that one waits is of the clock, and says what it should where
two cores have nothing else to do.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from fm import CONFIG, encoded

from pipeline.bench.feed import write_store
from pipeline.bench.shape import Shape
from pipeline.data import store
from pipeline.data.batch import Batch
from pipeline.data.store import SplitName, Store, StoredPart
from pipeline.data.windows import WINDOW_ROWS, local_windows, rewindowed
from pipeline.embedding.sharding import place
from pipeline.runtime.progress import RATE, Point
from pipeline.synthetic import log
from pipeline.training import initialize, local, memory
from pipeline.training.rank import Rank
from pipeline.training.step import build_step
from schemas import loading
from schemas.config import TrainConfig
from schemas.stage import StageConfig

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--fields", type=int, help="of rows of one id each; without it the generated log's own")
    parser.add_argument("--vocab", type=int, default=100_000, help="ids of all fields together, with --fields")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--model", default="fm", help="fm or deepfm")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    memory.keep_freed()
    with tempfile.TemporaryDirectory() as folder:
        made = of_fields if arguments.fields else of_generated
        config, stored = made(arguments, folder)
        (stage,) = config.stages
        print(
            f"{stage.name}: {stored.num_rows('train'):,} rows, {stored.num_ids:,} ids, batches of {stage.batch_size:,}"
        )
        for name, nanoseconds in nanoseconds_of_parts(config, stage, stored).items():
            print(f"  {name:28} {nanoseconds:8.1f} ns")
        for name, figure in figures_of_stage(config, stage, stored, folder).items():
            print(f"  {name:28} {figure}")


def of_generated(arguments: argparse.Namespace, folder: str) -> tuple[TrainConfig, Store]:
    """Some of the rows are held out as well: they are to be there, and nothing is made of what they show."""
    log.generate(f"{folder}/logs", 1, arguments.rows, seed=7)
    config = loading.load(TrainConfig, CONFIG, [f"data.logs_uri={folder}/logs"])
    stage = next(stage for stage in config.stages if stage.name == arguments.model)
    alone = stage.model_copy(update={"init_from": None, "days": "all", "batch_size": arguments.batch_size})
    stored = encoded(config, folder)
    rows = next(local_windows(stored, "train", len(config.data.features.fields), 0, 1))
    held_out = store.write_part(
        stored.uri, StoredPart("test", log.FIRST_DATE, 0, len(rows), int(rows.labels.sum())), rows
    )
    return config.model_copy(update={"stages": (alone,)}), replace(stored, parts=(*stored.parts, held_out))


def of_fields(arguments: argparse.Namespace, folder: str) -> tuple[TrainConfig, Store]:
    shape = Shape(
        model=arguments.model,
        num_fields=arguments.fields,
        num_ids=arguments.vocab,
        batch_size=arguments.batch_size,
        dimension=16,
        hidden=(300, 100),
    )
    rows: dict[SplitName, int] = {"train": arguments.rows, "test": WINDOW_ROWS}
    return shape.config(), write_store(f"{folder}/store", rows, arguments.fields, arguments.vocab)


def nanoseconds_of_parts(config: TrainConfig, stage: StageConfig, stored: Store) -> dict[str, float]:
    """A row, one part after another in one thread; a pass before is not counted."""
    rank = Rank(config, stored, run_uri="")
    state = initialize.from_scratch(stage, config, stored.num_ids, rank.prior)
    step = build_step(rank, stage, state, place(state.table, stored.num_ids, config.table, None))
    size = rank.batch_size(stage)
    for _ in range(2):
        spent = Spent()
        windows = rewindowed(
            local_windows(stored, "train", rank.num_fields, 0, 1, with_groups=False), WINDOW_ROWS // size * size
        )
        for index, rows in enumerate(spent.each_on("read and decode", windows)):
            order = spent.on("draw an order", np.random.default_rng(index).permutation, len(rows))
            shuffled = spent.on("shuffle", rows.take, order)
            for start in range(0, len(rows), size):
                batch = spent.on("slice to a batch", Batch.of, shuffled, start, start + size)
                prepared = spent.on("prepare", step.prepare, batch)
                spent.on("step", step.take, prepared, 1.0)
                state.progress.step += 1
    return {name: seconds / rank.num_rows * 1e9 for name, seconds in spent.seconds.items()}


class Spent:
    """Seconds of the processor, by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def on(self, name: str, work: Callable[..., T], *arguments: Any) -> T:
        start = time.process_time()
        try:
            return work(*arguments)
        finally:
            self.seconds[name] += time.process_time() - start

    def each_on(self, name: str, items: Iterator[T]) -> Iterator[T]:
        while (item := self.on(name, next, items, None)) is not None:
            yield item


def figures_of_stage(config: TrainConfig, stage: StageConfig, stored: Store, folder: str) -> dict[str, str]:
    """As `nightjar train` runs it in its own process, from the first point of its curve to the last."""
    points: list[tuple[Point, float, float, float]] = []

    def report(point: Point) -> None:
        if RATE in point.metrics:
            points.append((point, time.perf_counter(), time.process_time(), time.thread_time()))

    local.run_stage(Rank(config, stored, f"{folder}/run"), stage, report)
    (first, *began), (last, *ended) = points[0], points[-2]
    num_rows = (last.step - first.step) * stage.batch_size
    clock, of_all, of_steps = ((end - start) / num_rows * 1e9 for start, end in zip(began, ended, strict=True))
    seconds = {point.step: 1 / point.metrics[RATE] for point, *_ in points[1:-1]}
    waits = sum(point.metrics["work/data_wait"] * seconds[point.step] for point, *_ in points[1:-1])
    return {
        "a stage, by the clock": f"{clock:8.1f} ns, {1e9 / clock:,.0f} rows/s",
        "  of the processor": f"{of_all:8.1f} ns",
        "  of that the steps' thread": f"{of_steps:8.1f} ns",
        "  waiting for data": f"{waits / sum(seconds.values()):8.1%}",
    }


if __name__ == "__main__":
    main()
