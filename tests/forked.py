"""`nightjar` in processes of their own, forked from one that has imported what takes seconds."""

import functools
import multiprocessing
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from command import Done

from jobs.__main__ import main


@dataclass(frozen=True)
class Command:
    """At work; what it says is written to files of its folder as it says it."""

    process: ForkServerProcess
    stdout: Path
    stderr: Path

    def ended(self, within_seconds: float = 240) -> Done:
        self.process.join(within_seconds)
        assert self.process.exitcode is not None, f"it is still at work:\n{self.stderr.read_text()}"
        return Done(self.process.exitcode, self.stdout.read_text(), self.stderr.read_text())


def start(
    arguments: list[str],
    folder: Path,
    ray_address: str | None = None,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Command:
    """`nightjar arguments` in that folder; without an address its Ray cluster is its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    if ray_address:
        environment["RAY_ADDRESS"] = ray_address
    said = (folder / "stdout.txt", folder / "stderr.txt")
    for path in said:
        path.write_text("")
    process = forks().Process(target=_run, args=(arguments, folder, environment, said, within))
    process.start()
    return Command(process, *said)


@functools.cache
def forks() -> ForkServerContext:
    """Of a process that starts no thread before it forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.nights.night", "mlflow", "matplotlib.pyplot"])
    return context


def _run(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    said: tuple[Path, Path],
    within: Callable[[], AbstractContextManager[None]],
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in zip((sys.stdout, sys.stderr), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream.fileno())
    sys.argv = ["nightjar", *arguments]
    with within():
        main()
