"""The Ray of a command: when it starts, what is refused, what is left of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import free_port

MARK = "NIGHTJAR_TEST_MARK"


def run(script: str, mark: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, whose children can be told by the mark."""
    environment = {**os.environ, MARK: mark, **env}
    environment.pop("RAY_ADDRESS", None)
    head = "from pipeline.runtime import cluster; from schemas.cluster import ClusterConfig; import sys\n"
    return subprocess.run(
        [sys.executable, "-c", head + script], env=environment, text=True, capture_output=True, check=False
    )


def left(mark: str) -> list[str]:
    """Command lines of the processes that have the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
def test_a_command_that_ends_while_ray_starts_leaves_no_process_and_one_that_needs_none_starts_none(tmp_path):
    ended = run(
        "with cluster.of_command(ClusterConfig()) as nodes:\n    nodes.begin()\n    sys.exit(7)", mark := str(tmp_path)
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "", "")
    assert left(mark) == []
    script = "with cluster.of_command(ClusterConfig()): pass\nprint({'ray'} & set(sys.modules))"
    assert run(script, mark).stdout == "set()\n"


@pytest.mark.slow
def test_a_ray_that_was_left_starts_anew_where_it_is_required_again(tmp_path):
    script = (
        "with cluster.of_command(ClusterConfig()) as nodes:\n"
        "    for _ in range(2):\n"
        "        nodes.require()\n"
        "        import ray\n"
        "        print(ray.get(ray.remote(lambda: 7).remote()), nodes.is_given)\n"
        "        nodes.leave()\n"
        "print(ray.is_initialized())"
    )
    ended = run(script, mark := str(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "7 False\n7 False\nFalse\n"), ended.stderr
    assert left(mark) == []


@pytest.mark.slow
def test_an_address_that_does_not_answer_is_refused_when_it_is_required_and_no_sooner():
    script = (
        "from schemas.errors import Refusal\n"
        f"config = ClusterConfig(address='127.0.0.1:{free_port()}')\n"
        "with cluster.of_command(config) as nodes:\n"
        "    nodes.begin()\n"
        "    for wanted in (nodes.require, nodes.arrive):\n"
        "        try: wanted()\n"
        "        except Refusal as refusal: print(refusal)\n"
        "with cluster.of_command(ClusterConfig(address='nowhere:1', num_workers=0)) as nodes:\n"
        "    nodes.begin()\n"
        "    nodes.arrive()\n"
    )
    ended = run(script, "refused")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["found", "expected", "where", "remedy"] * 2
    assert "Connection refused" in lines[0]
