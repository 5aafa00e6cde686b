import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
from command import nightjar

TINY = ["--fields", "3", "--vocab", "60", "--batch-size", "16", "--hidden", "4", "--dimension", "2"]
STEP_KEYS = {"rows_per_second", "step_seconds", "data_wait", "peak_memory_bytes", "table_bytes", "limits", "ratios"}


def bench_alone(folder: Path, *arguments: str) -> dict[str, Any]:
    """In a process of its own, which has no Ray cluster yet; its last line."""
    done = forked.start(["bench", *arguments, "--json"], folder).ended()
    assert done.exit_code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.slow
def test_step_reports_rates_limits_and_ratios(tmp_path):
    done = nightjar("bench", "step", "--model", "fnn", *TINY, "--seconds", "0.02", "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.keys() >= STEP_KEYS
    assert report["rows_per_second"] == pytest.approx(16 / report["step_seconds"])
    assert report["step_seconds_p10"] <= report["step_seconds"] <= report["step_seconds_p90"]
    assert 0 <= report["prepare_share"] < 1
    assert report["settings"]["placement"] == "all rows on one rank"
    assert all(rate > 0 for rate in [*report["limits"].values(), *report["ratios"].values()])
    assert report["work"]["dense_flops_per_step"] == 16 * 6 * ((1 + 3 * 3) * 4 + 4)
    assert "MLP: bf16" in done.stderr


@pytest.mark.slow
def test_step_runs_where_neither_ray_nor_mlflow_is_installed():
    arguments = ["nightjar", "bench", "step", "--model", "fm", *TINY, "--seconds", "0.02"]
    hidden = "sys.modules['ray'] = sys.modules['mlflow'] = None"
    code = f"import sys; {hidden}; sys.argv = {arguments}; from jobs.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "rows/s" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "found", "where"),
    [
        (["step", "--fields", "50", "--vocab", "10"], "10", "--vocab"),
        (["step", "--vocab", str(2**31 + 1)], "2,147,483,649", "--vocab"),
        (["step", "--batch-size", "10", "--ranks", "3"], "10", "--batch-size"),
        (["step", "--model", "fm", "--members", "2"], "2", "--members"),
        (["step", "--batch-size=-4"], "-4", "--batch-size"),
        (["step", "--fields", "0"], "0", "--fields"),
        (["step", "--threads", "0"], "0", "--threads"),
        (["step", "--ranks", "0", "--batch-per-rank"], "0", "--ranks"),
        (["step", "--model", "lr"], "lr", "--model"),
        (["step", "--placement", "by_row"], "by_row", "--placement"),
        (["step", "--precision", "float16"], "float16", "--precision"),
        (["step", "--hidden", "400,many"], "'400,many'", "--hidden"),
        (["step", "--hidden", "400,0"], "0", "--hidden"),
        (["step", "--seconds", "nan"], "nan", "--seconds"),
        (["feed", "--rows", "0"], "0", "--rows"),
        (["feed", "--fields", "9", "--vocab", "8"], "8", "--vocab"),
        (["job", "--rows", "999", "--batch-size", "16"], "999", "--rows"),
        (["job", "--rows", "8000"], "8,000", "--rows"),
        (["job", "--model", "ffm"], "ffm", "--model"),
        (["run", "--days", "1"], "1", "--days"),
        (["run", "--rows", "14000"], "14,000", "--rows"),
        (["run", "--fields", "9", "--vocab", "8"], "8", "--vocab"),
        (["run", "--workers=-1"], "-1", "--workers"),
        (["run", "--precision", "float16"], "float16", "--precision"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, arguments, found, where):
    done = nightjar("bench", *arguments, cwd=tmp_path)
    assert done.exit_code == 2
    message = dict(line.split(maxsplit=1) for line in done.stderr.splitlines()[-4:])
    assert message["found"].startswith(found)
    assert message["where"] == where


@pytest.mark.slow
def test_two_ranks_share_the_batch_or_take_one_each(tmp_path):
    def bench_step(*arguments: str) -> dict[str, Any]:
        ranks = ("--model", "fnn", "--seconds", "0.05", "--ranks", "2", *arguments)
        done = nightjar("bench", "step", *TINY, *ranks, "--json", cwd=tmp_path)
        assert done.exit_code == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    shared = bench_step()
    each = bench_step("--batch-per-rank", "--placement", "row_sharded")
    assert shared["shape"]["batch_size"] == 16
    assert shared["settings"]["placement"] == "all rows on each of 2 ranks"
    assert each["shape"]["batch_size"] == 32
    assert each["settings"]["placement"] == "rows divided among 2 ranks"
    assert each["work"]["dense_flops_per_step"] == 2 * shared["work"]["dense_flops_per_step"] > 0


@pytest.mark.ray
def test_feed_reports_a_pass_and_its_start(tmp_path):
    report = bench_alone(tmp_path, "feed", "--fields", "3", "--vocab", "60", "--rows", "70000")
    assert report["rows"] == 70_000
    for name in ("rows_per_second", "rows_per_second_after_start", "first_window_seconds", "first_pass_seconds"):
        assert report[name] > 0, name
    assert report["ratios"]["rows_to_decode"] > 0


@pytest.mark.ray
def test_job_is_held_against_its_steps(tmp_path):
    report = bench_alone(tmp_path, "job", "--model", "deepfm", *TINY, "--rows", "2000", "--seconds", "0.05")
    assert report["rows_per_second"] > 0
    assert 0 <= report["data_wait"] < 1
    assert report["threads_of_rank"] == report["step"]["shape"]["threads"] == 1
    assert report["ratios"]["rows_to_step"] == report["rows_per_second"] / report["step"]["rows_per_second"]
    assert report["peak_memory_bytes"] > report["table_bytes"] == 60 * 4 * 4
    assert report["step"].keys() >= STEP_KEYS
