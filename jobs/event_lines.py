"""Progress where no terminal is: a line, or a JSON object a line, as a task begins, goes on and ends; on stderr."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event as Flag
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.runtime.progress import Event

BEAT_SECONDS = 30.0


class Form(StrEnum):
    """How progress is told."""

    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class Task:
    """An event's, when it was first heard of and as it is now."""

    name: str
    began: float
    began_with: int
    done: int
    total: int
    note: str
    is_note: bool
    """It was over when it was first heard of, and is said each time."""

    @property
    def is_over(self) -> bool:
        return self.done >= self.total

    def seconds_left(self, now: float) -> float | None:
        """At the pace so far; None where it is not known yet. What was done before this process did it is no pace."""
        done = self.done - self.began_with
        return None if done <= 0 else (now - self.began) * (self.total - self.done) / done


class EventLines:
    """Each task when it begins and ends, and meanwhile a beat whenever nothing was told for so many seconds.

    `beats_alone`: for what tells of itself in lines of its own.
    """

    def __init__(
        self,
        form: Form = Form.TEXT,
        *,
        beats_alone: bool = False,
        beat_seconds: float = BEAT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._form = form
        self._beats_alone = beats_alone
        self._beat_seconds = beat_seconds
        self._now = now
        self._tasks: dict[str, Task] = {}
        self._last = now()
        self._lock = Lock()
        self._ended = Flag()
        self._heart = Thread(target=self._beat_on, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._heart.join()

    def __call__(self, event: "Event") -> None:
        with self._lock:
            now, note = self._now(), redacted(event.note)
            known = self._tasks.pop(event.task, None)
            if known and known.is_over and event.done < event.total:  # the next night's, or another pass
                known = None
            began, began_with = (known.began, known.began_with) if known else (now, event.done)
            is_note = known.is_note if known else event.done >= event.total
            task = Task(event.task, began, began_with, event.done, event.total, note, is_note)
            self._tasks[event.task] = task  # the last one is the one that is at work
            if self._beats_alone or (known and not is_note and (known.is_over or not task.is_over)):
                return
            self._tell("said" if is_note else "ended" if known else "began", task, now)

    def beat(self) -> None:
        """Tell how far the task is that is at work, where it is time."""
        with self._lock:
            now = self._now()
            task = next((one for one in reversed(self._tasks.values()) if not one.is_over), None)
            if task and now - self._last >= self._beat_seconds:
                self._tell("goes on", task, now)

    def _beat_on(self) -> None:
        while not self._ended.wait(min(1.0, self._beat_seconds)):
            self.beat()

    def _tell(self, what: str, task: Task, now: float) -> None:
        self._last = now
        line = _in_json(what, task, now) if self._form is Form.JSON else _in_words(what, task, now)
        print(line, file=sys.stderr, flush=True)


def _in_words(what: str, task: Task, now: float) -> str:
    seconds, left = now - task.began, task.seconds_left(now)
    match what:
        case "began":
            return f"{task.name} ..."
        case "said":
            return f"{task.name}: {task.note}" if task.note else task.name
        case "ended":
            return f"{task.name} done in {seconds:.1f} s  {task.note}".rstrip()
    far = [f"{task.done / task.total:.0%}"] if task.done else []
    told = [task.note] if task.note else []
    rest = [f"about {_duration(left)} left"] if left is not None else []
    return f"{task.name} ... {', '.join([*far, *told, f'{_duration(seconds)} so far', *rest])}"


def _in_json(what: str, task: Task, now: float) -> str:
    left = task.seconds_left(now)
    fields = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": what,
        "task": redacted(task.name),
        "done": task.done,
        "total": task.total,
        "seconds": round(now - task.began, 1),
        "seconds_left": None if left is None or what != "goes on" else round(left, 1),
        "note": task.note,
    }
    return json.dumps({name: value for name, value in fields.items() if value not in (None, "")})


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
