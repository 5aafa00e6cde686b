"""The cost of one training step, of the real loop on rows in memory, beside what the machine could do at most."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from pydantic import TypeAdapter
from torch.multiprocessing.spawn import spawn

from pipeline.bench import machine
from pipeline.bench.clicks import CLICK_RATE, zipf_rows
from pipeline.bench.machine import Limits
from pipeline.bench.shape import Shape
from pipeline.bench.work import Work
from pipeline.data.background import Ahead
from pipeline.data.batch import Batch
from pipeline.data.store import Store
from pipeline.embedding.sharding import place
from pipeline.training import initialize, loop, memory
from pipeline.training.checkpoint import StageState
from pipeline.training.loop import Step
from pipeline.training.prior import Prior
from pipeline.training.rank import Rank
from pipeline.training.step import build_step

NUM_BATCHES = 32  # distinct ones, trained on in turn: what a batch has touched is no longer cached when it comes again
NUM_ROUNDS = 3  # of steps, then limits: load on the machine that comes and goes meets both
WARM_UP_STEPS = 5
LEAST_STEPS = 5
LIMIT_SHARE = 1 / 40  # of the seconds of all steps, for each limit in each round


@dataclass(frozen=True, slots=True)
class Measured:
    """What one rank found."""

    step_seconds: list[float]
    prepare_seconds: float
    """What grouping the batches' ids took of these; a job's rank does it ahead, in a thread."""
    memory_at_start_bytes: int
    """Peak before anything was made, which is mostly torch itself."""
    peak_memory_bytes: int
    """Peak of training alone."""
    settings: dict[str, str]
    work: Work
    limits: Limits


MEASURED = TypeAdapter(Measured)


def measure(shape: Shape, seconds: float) -> dict[str, Any]:
    """Train for about `seconds` in all and report figures of all ranks together; a time is that of the first rank.

    Several ranks are processes of their own that talk over the loopback address.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if shape.num_ranks == 1:
            with machine.threads(shape.threads):
                return report(shape, [_measure_rank(shape, 0, folder, seconds)])
        spawn(_rank_main, (shape, folder, seconds), shape.num_ranks)
        files = [_of_rank(folder, rank) for rank in range(shape.num_ranks)]
        return report(shape, [MEASURED.validate_json(file.read_bytes()) for file in files])


def training(shape: Shape, batches: Iterator[Batch]) -> tuple[StageState, Iterator[Step], dict[str, str]]:
    """This rank's state, the steps of the real loop that change it, and what they are computed by."""
    config, is_alone = shape.config(), shape.num_ranks == 1
    rank = Rank(
        config,
        Store("in memory", shape.num_ids, ()),
        run_uri="",
        index=0 if is_alone else dist.get_rank(),
        count=shape.num_ranks,
        group=None if is_alone else dist.new_group(backend="gloo"),
    )
    stage = config.stages[0]
    state = initialize.from_scratch(stage, config, shape.num_ids, Prior.of_clicks(CLICK_RATE), shard=rank.shard)
    placement = place(state.table, shape.num_ids, config.table, rank.group, config.cluster.fused)
    step = build_step(rank, stage, state, placement)
    prepared = map(step.prepare, batches)
    # Of one rank, in the step: its threads are those asked for. Of several, by a thread as in a job: preparing is where
    # they tell each other ids, and would wait for each other.
    steps = loop.train(state, step, prepared if is_alone else Ahead(prepared), stage, sys.maxsize)
    return state, steps, step.settings


def report(shape: Shape, ranks: list[Measured]) -> dict[str, Any]:
    """Figures by name, sizes and durations in the unit that the name ends in; shares and ratios are of 1."""
    first, limits = ranks[0], Limits.total([rank.limits for rank in ranks])
    median = statistics.median(first.step_seconds)
    tenth, ninth = np.percentile(first.step_seconds, [10, 90]).tolist()
    flops, moved = first.work.dense_flops / median, first.work.table_bytes / median
    return {
        "shape": asdict(shape),
        "settings": first.settings,
        "cpus": os.cpu_count(),
        "num_steps": len(first.step_seconds),
        "rows_per_second": shape.batch_size / median,
        "step_seconds": median,
        "step_seconds_mean": statistics.fmean(first.step_seconds),
        "step_seconds_p10": tenth,
        "step_seconds_p90": ninth,
        "data_wait": 0.0,  # rows are in memory
        "prepare_share": first.prepare_seconds / sum(first.step_seconds),
        "peak_memory_bytes": max(rank.peak_memory_bytes for rank in ranks),
        "memory_at_start_bytes": max(rank.memory_at_start_bytes for rank in ranks),
        "table_bytes": shape.table_bytes,
        "work": {"dense_flops_per_step": first.work.dense_flops, "table_bytes_per_step": first.work.table_bytes},
        "limits": asdict(limits),
        "ratios": {
            "dense_to_bf16": flops / limits.bf16_flops_per_second,
            "dense_to_fp32": flops / limits.fp32_flops_per_second,
            "dense_to_fp32_medium": flops / limits.fp32_medium_flops_per_second,
            "table_to_copy": moved / limits.copy_bytes_per_second,
            "rows_to_decode": shape.batch_size / median / limits.decode_rows_per_second,
        },
    }


def _measure_rank(shape: Shape, rank: int, folder: Path, seconds: float) -> Measured:
    """Rounds of steps and limits, at the same time on every rank."""
    memory.keep_freed()
    at_start = machine.peak_memory_bytes()
    size = shape.rank_batch_size
    seeds = range(rank * NUM_BATCHES, (rank + 1) * NUM_BATCHES)
    batches = [Batch.of(zipf_rows(size, shape.num_fields, shape.num_ids, seed), 0, size) for seed in seeds]
    state, steps, settings = training(shape, cycle(batches))
    num_distinct = statistics.fmean(len(batch.ids_N.unique()) for batch in batches)

    taken: list[tuple[float, float]] = []
    limits: list[Limits] = []
    peak = 0
    for _ in range(NUM_ROUNDS):
        warm_up = statistics.median(_timed(steps)[0] for _ in range(WARM_UP_STEPS))
        num_steps = _as_rank_0(max(LEAST_STEPS, round(seconds / NUM_ROUNDS / warm_up)))
        taken += [_timed(steps) for _ in range(num_steps)]
        if not peak:
            peak = machine.peak_memory_bytes()
            part_path = machine.write_part(folder / f"rank-{rank}", shape.num_fields, shape.num_ids)
        _wait_for_all()
        limits.append(machine.measure(part_path, seconds * LIMIT_SHARE))
        _wait_for_all()
    return Measured(
        step_seconds=[step_seconds for step_seconds, _ in taken],
        prepare_seconds=sum(prepare_seconds for _, prepare_seconds in taken),
        memory_at_start_bytes=at_start,
        peak_memory_bytes=peak,
        settings=settings,
        work=Work.of(shape, state.model, num_distinct),
        limits=Limits.median(limits),
    )


def _timed(steps: Iterator[Step]) -> tuple[float, float]:
    """Seconds of the next step, and those of them that it waited for its batch to be prepared."""
    start = time.perf_counter()
    step = next(steps)
    return time.perf_counter() - start, step.wait_seconds


def _rank_main(rank: int, shape: Shape, folder: Path, seconds: float) -> None:
    """A rank as a process; it leaves what it measured in the folder."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(shape.threads)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=shape.num_ranks)
    measured = _measure_rank(shape, rank, folder, seconds)
    _of_rank(folder, rank).write_bytes(MEASURED.dump_json(measured))
    dist.destroy_process_group()


def _of_rank(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"


def _as_rank_0(number: int) -> int:
    """The number that the first rank has: ranks must take equally many steps."""
    if not dist.is_initialized():
        return number
    shared = torch.tensor(number)
    dist.broadcast(shared, 0)
    return int(shared)


def _wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()
