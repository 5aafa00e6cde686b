"""What the two passes over a raw log cost of a processor: CPU seconds by step, beside those of a bare read.

    python tests/benchmarks/passes.py --rows 250000 1000000
    python tests/benchmarks/passes.py --logs demo/logs --features jobs/configs/synthetic_features.yaml

A log of 39 fields of text ids by Zipf's law, in Parquet, or one that is there, passed in this process: a million cells
of the one, a million rows of the other. Seconds are the process's own, of all its threads, which other work on the
machine changes less than the clock's. A bare read is pyarrow's of the same columns, as it comes. What is added up first
are the parts of a task, `--parts` of them, then what comes of the tasks: that alone is the driver's.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.bench.clicks import zipf_rows
from pipeline.data import logs, passes, quality, store, vocabulary
from pipeline.data.counting import add_up
from pipeline.data.encode import Encoder
from pipeline.data.logs import read_part
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import StoredPart
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from schemas.config import DataConfig
from schemas.features import FeatureSpec
from schemas.loading import load

NUM_FIELDS = 39
DAY = date(2026, 11, 1)
ROWS_PER_PART = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000])
    parser.add_argument("--parts", type=int, default=4, help="of a task")
    parser.add_argument("--values", type=int, default=1_000_000, help="of all fields together, at most")
    parser.add_argument("--logs", help="a log that is there, in place of one that is drawn")
    parser.add_argument("--features", type=Path, help="its feature spec")
    arguments = parser.parse_args()
    if arguments.logs:
        features = load(FeatureSpec, arguments.features)
        data = DataConfig(logs_uri=arguments.logs, features=features)
        num_rows, seconds = measure(data, arguments.parts)
        tell(f"{num_rows:,} rows", seconds, num_rows)
        ours = sum(seconds.values()) - seconds["bare read"]
        ratio = ours / seconds["bare read"] / 2
        print(f"both passes: {num_rows / ours:,.0f} rows/s a core, {ratio:.1f} times two bare reads")
        return
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), rows, arguments.values)
            fields = [{"name": f"field_{f}", "kind": "categorical"} for f in range(NUM_FIELDS)]
            features = FeatureSpec.model_validate({"label": "click", "fields": fields})
            _, seconds = measure(DataConfig(logs_uri=f"{folder}/logs", features=features), arguments.parts)
        tell(f"{rows:,} rows", seconds, rows * NUM_FIELDS)


def tell(what: str, seconds: Mapping[str, float], number: int) -> None:
    print(what, ", ".join(f"{name} {taken / (number / 1e6):.3f}" for name, taken in seconds.items()), flush=True)


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


def measure(data: DataConfig, parts_of_task: int) -> tuple[int, dict[str, float]]:
    """Rows, and seconds of CPU by what they were spent on."""
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def spent_on(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[name] += time.process_time() - start

    spec = data.features
    manifest = logs.find(data, logs.days_of(data))
    parts = manifest.parts(data.rows_per_part)
    counts = []
    for part in parts:
        with spent_on("bare read"):
            for uri, group in part.row_groups:
                pq.ParquetFile(uri.removeprefix("file://")).read_row_group(group, columns=list(spec.columns))
        of_part = ValueCounts(spec.fields)
        with spent_on("read and check"):
            tables = [table for table, where in read_part(part, spec.columns, spec.category_columns)]
            for table in tables:
                quality.check_rows(table, spec, "here")
        with spent_on("count"):
            for table in tables:
                of_part.add(table)
            counts.append(of_part.total())
    with spent_on("add up a task's"):
        tasks = [add_up(some, COUNTS_SCHEMA) for some in in_tasks(counts, parts_of_task)]
    with spent_on("add up in the driver"):
        total = add_up(tasks, COUNTS_SCHEMA)
    with spent_on("build"):
        vocab = vocabulary.build(spec, total)
        encoder = Encoder(vocab)
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            with spent_on("read, check, encode and shuffle"):
                rows = passes.encode_part(part, encoder, data, ResolvedSplit(manifest.days, ()), 0)["train"]
            with spent_on("write"):
                stored = StoredPart("train", part.day, part.index, len(rows), int(rows.labels.sum()))
                store.write_part(folder, stored, rows)
    print(f"  {vocab.num_ids:,} ids, {len(total):,} values")
    return manifest.num_rows, seconds


def in_tasks(tables: list[pa.Table], parts_of_task: int) -> list[list[pa.Table]]:
    return [tables[start : start + parts_of_task] for start in range(0, len(tables), parts_of_task)]


if __name__ == "__main__":
    main()
