"""How fast an import is on one core, beside pyarrow's bare read of the same file, and whether its memory stays flat.

    python tests/benchmarks/imports.py --rows 1000000

Lines as Criteo's: a label, 13 counts of which a fifth are missing, 26 ids in hex of 20 to a million values. Each figure
is that of a process of its own, on the first CPU alone: `read` parses the file by pyarrow's CSV reader into the same
types, block after block, and keeps nothing; `read, write` writes each block to one Parquet file besides, as the import
does. Three times in turns, the median; with --memory the peak of resident memory at ten times as many rows, too.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.intake.blocks import BLOCK_BYTES
from pipeline.intake.chunks import ROWS_PER_GROUP
from pipeline.intake.days import ByLine
from pipeline.intake.formats.criteo import Criteo
from pipeline.intake.importing import Import, run
from pipeline.intake.sources import find

TURNS = 3
ROWS_AT_A_TIME = 250_000
DISTINCT = [20] * 8 + [1_000] * 6 + [10_000] * 6 + [1_000_000] * 6
KINDS = ("import", "read", "read, write")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", action="store_true", help="measure the peak at ten times as many rows, too")
    parser.add_argument("--of", nargs=2, metavar=("KIND", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        print(*measure(*arguments.of))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        write_lines(file, arguments.rows)
        print(f"{arguments.rows:,} rows, {file.stat().st_size / 2**20:,.0f} MiB", flush=True)
        found = {kind: [] for kind in KINDS}
        for _ in range(TURNS):
            for kind in KINDS:
                found[kind].append(measured(kind, file))
        for kind, turns in found.items():
            seconds = statistics.median(seconds for seconds, _ in turns)
            peak = max(peak for _, peak in turns)
            print(f"{kind:12} {seconds:6.2f} s  {arguments.rows / seconds:9,.0f} rows/s  {peak:5,.0f} MiB at most")
        if arguments.memory:
            write_lines(file, 10 * arguments.rows)
            seconds, peak = measured("import", file)
            print(f"{10 * arguments.rows:,} rows: {10 * arguments.rows / seconds:,.0f} rows/s, {peak:,.0f} MiB at most")


def measured(kind: str, file: Path) -> tuple[float, float]:
    """Seconds and MiB at most, in a process of its own."""
    command = [sys.executable, __file__, "--of", kind, str(file)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, peak = map(float, printed.split())
    return seconds, peak


def measure(kind: str, name: str) -> tuple[float, float]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=Path(name).parent) as folder:
        if kind == "import":
            job = Import(Criteo(), tuple(find([name])), f"{folder}/logs", (ByLine(date(2026, 11, 1), 500_000),))
            run(job, lambda event: None)
        else:
            read(name, f"{folder}/rows.parquet" if kind == "read, write" else None)
        seconds = time.perf_counter() - began
    [peak] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return seconds, int(peak.split()[1]) / 2**10


def read(name: str, to: str | None) -> None:
    types = Criteo.layout.types
    batches = pyarrow.csv.open_csv(
        name,
        pyarrow.csv.ReadOptions(column_names=list(types), block_size=BLOCK_BYTES, use_threads=False),
        pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
    )
    if to is None:
        assert sum(len(batch) for batch in batches)
        return
    with pq.ParquetWriter(to, batches.schema, compression="zstd", write_statistics=False) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROWS_PER_GROUP)


def write_lines(file: Path, num_rows: int) -> None:
    rng = np.random.default_rng(0)
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with file.open("wb") as stream:
        for begin in range(0, num_rows, ROWS_AT_A_TIME):
            rows = drawn(rng, min(ROWS_AT_A_TIME, num_rows - begin))
            pyarrow.csv.write_csv(rows, stream, options)


def drawn(rng: np.random.Generator, num_rows: int) -> pa.Table:
    columns: list[pa.Array] = [pa.array(rng.integers(0, 2, num_rows))]
    columns += [pa.array(rng.geometric(0.05, num_rows), mask=rng.random(num_rows) < 0.2) for _ in range(13)]
    for distinct in DISTINCT:
        ids = (distinct * rng.random(num_rows) ** 3).astype(np.int64)
        values, places = np.unique(ids * 2_654_435_761 % 2**32, return_inverse=True)
        text = pa.array([f"{value:08x}" for value in values.tolist()])
        columns.append(text.take(pa.array(places, mask=rng.random(num_rows) < 0.05)))
    return pa.table(columns, names=list(Criteo.layout.types))


if __name__ == "__main__":
    main()
