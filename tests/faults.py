"""Real faults at chosen moments of a night: when something is shown, right before or right after a call."""

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

import jobs.nightly
from jobs.__main__ import main
from jobs.console import ProgressView
from pipeline.runtime.progress import Event


@dataclass(frozen=True)
class Call:
    """Before or after a call of `function`, named module:name; the first, unless another is meant."""

    when: Literal["before", "after"]
    function: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.function.rpartition(':')[2]} {self.number}"


@dataclass(frozen=True)
class Shown:
    """When the command has shown that a task begins or has ended."""

    when: Literal["begins", "ended"]
    task: str

    def __str__(self) -> str:
        return f"when {self.task} {self.when}"

    def is_told_by(self, event: Event) -> bool:
        return event.task == self.task and event.done == (0 if self.when == "begins" else event.total)


@dataclass(frozen=True)
class FirstCheckpoint:
    """While ranks train, when a checkpoint of theirs is there."""

    def __str__(self) -> str:
        return "while training"


Moment = Call | Shown


@contextlib.contextmanager
def at(moment: Moment, action: Callable[[], object]) -> Iterator[None]:
    """Do it at that moment, once; all else is as it was."""
    with _when_shown(moment, action) if isinstance(moment, Shown) else _when_called(moment, action):
        yield


@contextlib.contextmanager
def _when_shown(moment: Shown, action: Callable[[], object]) -> Iterator[None]:
    waiting = [action]

    class Watched(ProgressView):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if waiting and moment.is_told_by(event):
                waiting.pop()()

    with patch.object(jobs.nightly, "ProgressView", Watched):
        yield


@contextlib.contextmanager
def _when_called(moment: Call, action: Callable[[], object]) -> Iterator[None]:
    module, _, path = moment.function.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    real, calls = getattr(owner, name), 0

    @functools.wraps(real)
    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_now = calls == moment.number
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
