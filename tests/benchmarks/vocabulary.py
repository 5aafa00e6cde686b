"""What the driver holds, and for how long, while the values of a log are counted and become a vocabulary.

    python tests/benchmarks/vocabulary.py --values 1000000 4000000 --check 16000000

A log of four fields of ids, sixteen characters each, has so many distinct values; a quarter of them occur four times,
the others once, and `min_count` 2 keeps that quarter. Each size runs by threads of a process of its own. The bytes a
value that the two sizes come to foretell those of `--check`. `in files` counts once more, with all but 64 MiB of the
counts in files: what is held of the others is what the driver needs however many there are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

NUM_FIELDS = 4
KEPT_SHARE = 4  # one value of so many is kept
OCCURRENCES = 4  # of a value that is kept
ROWS_PER_PART = 250_000
PHASES = ("count", "in files", "build", "encoder", "profile")
HELD_BYTES = 64 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, nargs=2, default=[1_000_000, 4_000_000], help="two sizes")
    parser.add_argument("--check", type=int, help="a third one, to hold the bytes a value against")
    parser.add_argument("--of", metavar="LOGS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        print(json.dumps(measure(arguments.of)))
        return
    found = {}
    for num_values in [*arguments.values, *filter(None, [arguments.check])]:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), num_values)
            command = [sys.executable, __file__, "--of", folder]
            printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[num_values] = json.loads(printed.splitlines()[-1])
        print(f"{num_values:,} values", flush=True)
        for phase in PHASES:
            of_phase = found[num_values][phase]
            print(f"  {phase:8} {of_phase['peak_bytes'] / 2**20:8,.0f} MiB at most  {of_phase['seconds']:6.1f} s")
    small, large = arguments.values
    for phase in PHASES:
        peaks = [found[size][phase]["peak_bytes"] for size in (small, large)]
        per_value = (peaks[1] - peaks[0]) / (large - small)
        line = f"{phase:8} {per_value:6.0f} bytes a value"
        if arguments.check:
            foretold = peaks[1] + per_value * (arguments.check - large)
            line += f", {foretold / 2**20:,.0f} MiB foretold of {arguments.check:,} values, "
            line += f"{found[arguments.check][phase]['peak_bytes'] / foretold:.2f} of it found"
        print(line)


def write_log(folder: Path, num_values: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    per_field = num_values // NUM_FIELDS
    columns = {}
    for field in range(NUM_FIELDS):
        own = np.arange(per_field, dtype=np.uint64)
        drawn = rng.permutation(np.concatenate([own, *[own[: per_field // KEPT_SHARE]] * (OCCURRENCES - 1)]))
        mixed = (drawn + np.uint64(field * per_field + 1)) * np.uint64(0x9E3779B97F4A7C15)
        columns[f"id_{field}"] = pa.array([f"{value:016x}" for value in mixed.tolist()])
    num_rows = len(columns["id_0"])
    table = pa.table({**columns, "click": pa.array(rng.integers(0, 2, num_rows, dtype=np.int8))})
    day = folder / "date=2026-11-01"
    day.mkdir()
    for part, start in enumerate(range(0, num_rows, ROWS_PER_PART)):
        pq.write_table(table.slice(start, ROWS_PER_PART), day / f"part-{part}.parquet", row_group_size=65_536)


def measure(logs_uri: str) -> dict[str, dict[str, float]]:
    import pyarrow as pa

    from pipeline.bench.machine import peak_memory_bytes
    from pipeline.data import logs, passes, vocabulary
    from pipeline.data.encode import Encoder
    from pipeline.data.passes import COUNTS_SHARE
    from pipeline.data.split import ResolvedSplit
    from pipeline.profiles import profiler
    from pipeline.runtime import memory
    from schemas.config import DataConfig

    found: dict[str, dict[str, float]] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        pa.default_memory_pool().release_unused()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        start = time.perf_counter()
        yield
        found[name] = {"seconds": time.perf_counter() - start, "peak_bytes": peak_memory_bytes()}

    encoder = {"type": "vocabulary", "min_count": 2}
    fields = [{"name": f"id_{i}", "kind": "categorical", "encoder": encoder} for i in range(NUM_FIELDS)]
    data = DataConfig.model_validate({"logs_uri": logs_uri, "features": {"label": "click", "fields": fields}})
    manifest = logs.find(data, [date(2026, 11, 1)])
    split = ResolvedSplit(manifest.days, ())
    with phase("count"):
        counts = passes.count_values(manifest, data, split)
    passes.COUNTS_SHARE = HELD_BYTES / memory.total_bytes()
    with phase("in files"):
        passes.count_values(manifest, data, split)
    passes.COUNTS_SHARE = COUNTS_SHARE
    with phase("build"):
        built = vocabulary.build(data.features, counts)
    del counts
    with phase("encoder"):
        Encoder(built)
    del built
    with phase("profile"):
        profiler.profile_days(manifest, data, f"{logs_uri}/work")
    return found


if __name__ == "__main__":
    main()
