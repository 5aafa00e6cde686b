"""Real faults at chosen moments of a night: something happens right before or right after a call of the library."""

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from jobs.__main__ import main


@dataclass(frozen=True)
class Moment:
    """Before or after a call of `function`, named module:name; the first, unless another is meant."""

    when: Literal["before", "after"]
    function: str
    call: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.function.rpartition(':')[2]} {self.call}"


@dataclass(frozen=True)
class FirstCheckpoint:
    """While ranks train, when a checkpoint of theirs is there."""

    def __str__(self) -> str:
        return "while training"


@contextlib.contextmanager
def at(moment: Moment, action: Callable[[], object]) -> Iterator[None]:
    """Do it at that moment, once; all else is as it was."""
    module, _, path = moment.function.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    real, calls = getattr(owner, name), 0

    @functools.wraps(real)
    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_now = calls == moment.call
        if is_now and moment.when == "before":
            action()
        returned = real(*arguments, **named)
        if is_now and moment.when == "after":
            action()
        return returned

    with patch.object(owner, name, watched):
        yield


def killed(arguments: list[str], ray_address: str, moment: Moment | FirstCheckpoint, work: Path) -> int | None:
    """The exit code of `nightjar arguments` in a process of its own that SIGKILL ends at that moment, if it comes."""
    process = _forks().Process(target=_run, args=(arguments, ray_address, moment, work))
    process.start()
    process.join(timeout=240)
    return process.exitcode


@functools.cache
def _forks() -> ForkServerContext:
    """Of a process that has imported what takes seconds, and starts no thread before it forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.nights.night", "mlflow", "matplotlib.pyplot"])
    return context


def _run(arguments: list[str], ray_address: str, moment: Moment | FirstCheckpoint, work: Path) -> None:
    os.environ["RAY_ADDRESS"] = ray_address
    sys.argv = ["nightjar", *arguments]
    if isinstance(moment, FirstCheckpoint):
        threading.Thread(target=_kill_at_checkpoint, args=(work,), daemon=True).start()
        main()
    else:
        with at(moment, _kill):
            main()


def _kill_at_checkpoint(work: Path) -> None:
    earlier = set(work.glob("runs/*/checkpoint_*"))
    while not set(work.glob("runs/*/checkpoint_*")) - earlier:
        time.sleep(0.005)
    _kill()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
