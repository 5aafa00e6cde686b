"""The fit of a plan's stages, shown as it goes on; where its time went, as the stages have written it down."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from pipeline.registry.golden import Host
from pipeline.runtime.progress import RATE, Clock, Event, Note, Point, Report, Show
from pipeline.training import fitting, results
from pipeline.training.checkpoint import Progress
from pipeline.training.job import TrainingJob


def fit(job: TrainingJob, log: Report, clock: Clock, host: Host | None = None) -> dict[str, str]:
    """The stages that could not be trained, and why; the points of all go to the `log`.

    With the last of them the host starts of what is then registered.
    """
    with clock.unshown("fit"):
        began = time.time()
        points = _points_to(log, clock.show, job.config.plan[-1].name, host)
        failures = fitting.fit(job, points, _notes_to(clock.show))
        stages = [stage.name for stage in job.config.plan if stage.name not in failures]
        _time(clock, [results.progress(job.run_uri, name) for name in stages], began, job.store.num_rows("test"))
    return failures


def _time(clock: Clock, stages: Sequence[Progress], began: float, held_out_rows: int) -> None:
    """The phases of a fit that began then, in seconds since 1970, and is just over.

    A stage that an earlier call had trained, or begun, is none of this one's.
    """
    own = [stage for stage in stages if stage.began >= began]
    if not own:
        return
    clock.took("start the workers", began, own[0].began)
    for stage in own:
        clock.took(f"train {stage.stage}", stage.began, stage.ended, rows=stage.rows_seen)
        clock.took("begin", stage.began, stage.steps_began, depth=1)
        clock.took("steps", stage.steps_began, stage.steps_ended, rows=stage.rows_seen, depth=1)
        clock.took("evaluate", stage.steps_ended, stage.ended, rows=held_out_rows, depth=1)
    clock.took("stop the workers", own[-1].ended, time.time())


def _points_to(log: Report, show: Show, last_stage: str, host: Host | None) -> Report:
    """Those of steps are shown, and all are logged."""

    def take(point: Point) -> None:
        if host and point.stage == last_stage:
            with suppress(OSError):  # of a machine that has no room for it now, which is no reason to stop training
                host.start()
        if RATE in point.metrics:
            is_last = point.step == point.num_steps
            rate = point.mean_rate if is_last else point.metrics[RATE]
            show(Event(f"train {point.stage}", point.step, point.num_steps, f"{rate:,.0f} rows/s {point.computed_by}"))
        log(point)

    return take


def _notes_to(show: Show) -> Callable[[Note], None]:
    return lambda note: show(Event(note.title, 1, 1, note.words))
