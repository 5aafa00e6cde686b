"""What the two passes over a raw log cost of a processor: CPU seconds a million cells, by step.

    python tests/benchmarks/passes.py --rows 250000 1000000

A log of 39 fields of text ids by Zipf's law, in Parquet, passed in this process. Seconds are the process's own, of all
its threads, which other work on the machine changes less than the clock's. What is added up first are the parts of a
task, `--parts` of them, then what comes of the tasks: that alone is the driver's.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.bench.clicks import zipf_rows
from pipeline.data import logs, passes, store, vocabulary
from pipeline.data.counting import add_up
from pipeline.data.encode import Encoder
from pipeline.data.logs import read_part
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import StoredPart
from pipeline.data.value_counts import COUNTS_SCHEMA
from schemas.config import DataConfig

NUM_FIELDS = 39
DAY = date(2026, 11, 1)
ROWS_PER_PART = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000])
    parser.add_argument("--parts", type=int, default=4, help="of a task")
    parser.add_argument("--values", type=int, default=1_000_000, help="of all fields together, at most")
    arguments = parser.parse_args()
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), rows, arguments.values)
            seconds = measure(folder, arguments.parts)
        per_million = {name: taken / (rows * NUM_FIELDS / 1e6) for name, taken in seconds.items()}
        print(f"{rows:,} rows", ", ".join(f"{name} {value:.3f}" for name, value in per_million.items()), flush=True)


def write_log(folder: Path, num_rows: int, num_values: int) -> None:
    day = folder / f"logs/date={DAY}"
    day.mkdir(parents=True)
    texts = pa.array([f"{value * 0x9E3779B97F4A7C15 % 2**64:016x}" for value in range(num_values)])
    for part, start in enumerate(range(0, num_rows, ROWS_PER_PART)):
        drawn = zipf_rows(min(ROWS_PER_PART, num_rows - start), NUM_FIELDS, num_values, seed=part)
        ids = drawn.ids.reshape(-1, NUM_FIELDS)
        fields = {f"field_{f}": texts.take(pa.array(ids[:, f])) for f in range(NUM_FIELDS)}
        table = pa.table({**fields, "click": pa.array(drawn.labels.astype(np.int8))})
        pq.write_table(table, day / f"part-{part}.parquet", compression="zstd", row_group_size=65_536)


def measure(folder: str, parts_of_task: int) -> dict[str, float]:
    """Seconds of CPU by what they were spent on."""
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def spent_on(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[name] += time.process_time() - start

    fields = [{"name": f"field_{f}", "kind": "categorical"} for f in range(NUM_FIELDS)]
    features = {"label": "click", "fields": fields}
    data = DataConfig.model_validate({"logs_uri": f"{folder}/logs", "features": features})
    manifest = logs.find(data.logs_uri, [DAY], data.features)
    parts = manifest.parts(ROWS_PER_PART)
    counts = []
    for part in parts:
        with spent_on("read"):
            tables = [table for table, _ in read_part(part, data.features.columns)]
        with spent_on("count"):
            counts.append(vocabulary.merge(pa.concat_tables([vocabulary.count(one, data.features) for one in tables])))
    with spent_on("add up a task's"):
        tasks = [add_up(some, COUNTS_SCHEMA) for some in in_tasks(counts, parts_of_task)]
    with spent_on("add up in the driver"):
        total = add_up(tasks, COUNTS_SCHEMA)
    vocab = vocabulary.build(data.features, total)
    encoder = Encoder(vocab)
    for part in parts:
        with spent_on("read, encode and shuffle"):
            rows = passes.encode_part(part, encoder, data, ResolvedSplit(manifest.days, ()), 0)["train"]
        with spent_on("write"):
            stored = StoredPart("train", DAY, part.index, len(rows), int(rows.labels.sum()))
            store.write_part(f"{folder}/store", stored, rows)
    print(f"  {vocab.num_ids:,} ids, {len(total):,} values")
    return seconds


def in_tasks(tables: list[pa.Table], parts_of_task: int) -> list[list[pa.Table]]:
    return [tables[start : start + parts_of_task] for start in range(0, len(tables), parts_of_task)]


if __name__ == "__main__":
    main()
