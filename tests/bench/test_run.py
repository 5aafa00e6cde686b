"""A whole run that is measured: its log, what its phases come to, and the memory of all its processes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command import nightjar

from pipeline.bench import click_log, tree_memory
from pipeline.bench.click_log import LogShape
from pipeline.bench.run import Timed, report
from pipeline.bench.tree_memory import Samples

SHAPE = LogShape(num_rows=6_000, num_days=3, num_fields=2, num_values=40)
PHASES = [
    {"name": "start the command", "began": 0.0, "ended": 2.0},
    {"name": "count values", "began": 2.0, "ended": 4.0, "rows": 600},
    {"name": "encode rows", "began": 4.5, "ended": 5.5, "rows": 600},
    {"name": "fit", "began": 5.5, "ended": 8.0},
    {"name": "steps", "began": 6.0, "ended": 8.0, "rows": 400, "depth": 2},
]
LIMITS = {"rows_per_second": 400.0, "fp32_flops_per_second": 20_000.0, "bf16_flops_per_second": 40_000.0}


def test_phases_add_up_to_the_whole_with_the_end_and_what_lies_between_them():
    samples = Samples([(1_003.0, 7), (1_006.5, 9), (1_007.0, 8), (1_009.0, 3)])
    found = report(Timed(1_000.0, 1_010.0, {"phases": PHASES}, samples), LIMITS, flops_per_row=10)
    at_top = [phase for phase in found["phases"] if phase["depth"] == 0]
    assert [phase["seconds"] for phase in at_top] == [2.0, 2.0, 1.0, 2.5, 2.0]
    assert found["between_seconds"] == 0.5
    assert found["seconds"] == sum(phase["seconds"] for phase in at_top) + found["between_seconds"]
    assert [phase["peak_memory_bytes"] for phase in found["phases"]] == [None, 7, None, 9, 9, 3]
    assert found["peak_memory_bytes"] == 9


def test_passes_and_steps_stand_beside_what_the_machine_does():
    found = report(Timed(0.0, 10.0, {"phases": PHASES}, Samples()), LIMITS, flops_per_row=10)
    assert found["passes_rows_per_second"] == 600 / 3, "both passes go over the same rows, one after the other"
    assert found["steps_rows_per_second"] == 200
    assert found["ratios"] == {"passes_to_read": 0.5, "steps_to_fp32": 0.1, "steps_to_bf16": 0.05}


def test_a_log_has_its_days_rows_and_values_and_stays_as_it_is_when_it_is_asked_for_again(tmp_path: Path):
    click_log.write(tmp_path, SHAPE)
    parts = sorted(tmp_path.glob("date=*/part-*.parquet"))
    assert [part.parent.name for part in parts] == [f"date=2026-11-0{day}" for day in (1, 2, 3)]
    rows = pq.read_table(parts, partitioning=None).to_pandas()
    assert list(rows.columns) == ["click", "field_0", "field_1"]
    assert len(rows) == 6_000
    assert rows.nunique().tolist() == [2, 20, 20]
    by_value = rows.groupby("field_0").click
    assert by_value.mean().max() > 1.5 * rows.click.mean(), "what a value weighs can be learned"
    assert by_value.count().max() > 5 * by_value.count().min(), "few values are frequent"
    before = parts[0].stat().st_mtime_ns
    click_log.write(tmp_path, SHAPE)
    assert parts[0].stat().st_mtime_ns == before


def test_memory_is_that_of_a_process_and_of_what_it_has_started():
    child = "import time; held = bytearray(80_000_000); print(flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert tree_memory.held_bytes(process.pid) > 80_000_000
        for pid in reversed(tree_memory.with_descendants(process.pid)):
            subprocess.run(["kill", str(pid)], check=True)


def test_looks_at_memory_end_with_the_work():
    with tree_memory.watched(0) as samples:
        time.sleep(0.01)
    assert samples.peak_bytes() is None, "no process has the number 0"


@pytest.mark.slow
def test_a_whole_run_is_measured_from_its_command_to_its_end(tmp_path: Path):
    shape = ("--fields", "3", "--vocab", "60", "--model", "fm", "--dimension", "2", "--batch-size", "64")
    size = ("--rows", "4000", "--days", "2", "--keep", "kept", "--plot", "waterfall.png")
    done = nightjar("bench", "run", *shape, *size, "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    names = [phase["name"] for phase in found["phases"]]
    assert {"start the command", "count values", "encode rows", "train fm", "steps", "register", "end"} <= set(names)
    assert found["between_seconds"] < 0.1 * found["seconds"]
    assert (tmp_path / "waterfall.png").stat().st_size > 0
    assert found["peak_memory_bytes"] > 1e8
    again = nightjar("bench", "run", *shape, *size, cwd=tmp_path)
    assert (again.exit_code, "the work of an earlier run" in again.stderr) == (2, True)
