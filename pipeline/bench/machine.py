"""What this machine can do at most, measured in the same process and with the same threads as what is held against it.

Each figure is a median of repetitions, so that other load on the machine slows limit and benchmark alike.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import torch

from pipeline.bench.clicks import zipf_rows
from pipeline.data import store
from pipeline.data.store import StoredPart

COPY_FLOATS = 2**25  # 128 MiB to read and as many to write: more than the L3 of a core complex
MATRIX_SIZE = 1024
PROC_STATUS = Path("/proc/self/status")
PART = StoredPart("train", date(2026, 11, 1), 0, store.ROW_GROUP_ROWS, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates of one process; of several at once, their `total`."""

    copy_bytes_per_second: float
    """Bytes read plus bytes written."""
    fp32_flops_per_second: float
    """At float32 matmul precision `highest`."""
    fp32_medium_flops_per_second: float
    """At precision `medium`: what the kernels take that may round, or split, the inputs to bfloat16."""
    bf16_flops_per_second: float
    decode_rows_per_second: float
    """Rows of a packed part in the page cache, by pyarrow on one thread."""

    @staticmethod
    def median(measured: "Sequence[Limits]") -> "Limits":
        return Limits(*(statistics.median(values) for values in zip(*map(astuple, measured), strict=True)))

    @staticmethod
    def total(of_ranks: "Sequence[Limits]") -> "Limits":
        return Limits(*(sum(values) for values in zip(*map(astuple, of_ranks), strict=True)))


def measure(part_path: Path, seconds: float) -> Limits:
    """Spend about `seconds` on each limit, at least one repetition, with torch's present number of threads."""
    return Limits(
        copy_bytes_per_second=_copy_rate(seconds),
        fp32_flops_per_second=_matrix_rate(torch.float32, "highest", seconds),
        fp32_medium_flops_per_second=_matrix_rate(torch.float32, "medium", seconds),
        bf16_flops_per_second=_matrix_rate(torch.bfloat16, "highest", seconds),
        decode_rows_per_second=PART.num_rows / _median_seconds(lambda: decode(part_path), seconds),
    )


def rates(num_threads: int, seconds: float) -> dict[str, float]:
    """Those of Limits that need no packed part, by name, on so many threads."""
    with threads(num_threads):
        return {
            "copy_bytes_per_second": _copy_rate(seconds),
            "fp32_flops_per_second": _matrix_rate(torch.float32, "highest", seconds),
            "bf16_flops_per_second": _matrix_rate(torch.bfloat16, "highest", seconds),
        }


def write_part(folder: Path, num_fields: int, num_ids: int) -> Path:
    """A packed part of one row group, for `measure` to decode."""
    store.write_part(str(folder), PART, zipf_rows(PART.num_rows, num_fields, num_ids))
    return folder / PART.path


def decode(part_path: Path) -> int:
    """Read a packed part on one thread, and return its rows."""
    with part_path.open("rb") as stream:
        batches = pq.ParquetFile(stream).iter_batches(batch_size=store.ROW_GROUP_ROWS, use_threads=False)
        return sum(len(batch) for batch in batches)


def peak_memory_bytes() -> int:
    """The most this process has held in memory so far; pages that it shares with others count in full.

    Linux's ru_maxrss begins, in a process just started, with the peak of the one that started it: VmHWM does not.
    """
    if PROC_STATUS.exists():
        return _status_bytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def shared_memory_bytes() -> int:
    """What this process has mapped at present of memory shared with others, as Ray's object store; 0 if not told."""
    return _status_bytes("RssShmem") if PROC_STATUS.exists() else 0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch's operators, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _status_bytes(key: str) -> int:
    (line,) = (line for line in PROC_STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def _copy_rate(seconds: float) -> float:
    source, target = torch.ones(COPY_FLOATS), torch.zeros(COPY_FLOATS)
    return 2 * source.nbytes / _median_seconds(lambda: target.copy_(source), seconds)


def _matrix_rate(dtype: torch.dtype, precision: str, seconds: float) -> float:
    left, right = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE).to(dtype)
    product = torch.empty_like(left)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return 2 * MATRIX_SIZE**3 / _median_seconds(lambda: torch.mm(left, right, out=product), seconds)
    finally:
        torch.set_float32_matmul_precision(before)


def _median_seconds(work: Callable[[], object], seconds: float) -> float:
    """What a call takes, after one that is not counted."""
    work()
    taken: list[float] = []
    while sum(taken) < seconds or not taken:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
