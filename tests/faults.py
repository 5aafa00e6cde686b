"""Real faults at chosen moments of a night: when something is shown, right before or right after a call."""

import contextlib
import functools
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import forked

import jobs.nightly
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
    """While ranks train, when a checkpoint of theirs is there; of a command in the folder of its nights."""

    def __str__(self) -> str:
        return "while training"


@contextlib.contextmanager
def at(moment: Call | Shown | FirstCheckpoint, action: Callable[[], object]) -> Iterator[None]:
    """Do it at that moment, once; all else is as it was."""
    match moment:
        case Call():
            watching = _when_called(moment, action)
        case Shown():
            watching = _when_shown(moment, action)
        case FirstCheckpoint():
            watching = _at_first_checkpoint(action)
    with watching:
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


@contextlib.contextmanager
def _at_first_checkpoint(action: Callable[[], object]) -> Iterator[None]:
    runs = Path.cwd() / "work" / "runs"
    earlier = set(runs.glob("*/checkpoint_*"))

    def watch() -> None:
        while not set(runs.glob("*/checkpoint_*")) - earlier:
            time.sleep(0.005)
        action()

    threading.Thread(target=watch, daemon=True).start()
    yield


def killed(arguments: list[str], folder: Path, ray_address: str, moment: Call | Shown | FirstCheckpoint) -> int:
    """The exit code of `nightjar arguments` in a process of its own that SIGKILL ends at that moment, if it comes."""
    return forked.start(arguments, folder, ray_address, functools.partial(at, moment, _kill)).ended().exit_code


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
