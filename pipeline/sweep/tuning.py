"""Trials under Ray Tune: what all of them start from is trained first, and who falls behind is stopped (ASHA)."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from pipeline.evaluation.objectives import BESIDE_NE
from pipeline.registry import server
from pipeline.runtime import files
from pipeline.runtime.progress import Event, Point, Show
from pipeline.sweep.outcome import Look
from pipeline.sweep.standings import Standings
from pipeline.sweep.task import Attempt, Task
from pipeline.sweep.trial import run_trial, train
from pipeline.training import kept
from pipeline.training.published import stage_uri
from pipeline.training.rank import Rank
from schemas.errors import INTERRUPTED, Failure
from schemas.sweep import SweepConfig

# Else Tune writes each result to three files, takes Ctrl-C for a wish to end in good order, and prints to stdout.
TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def train_all(settings: SweepConfig, standings: Standings, waiting: Sequence[Attempt], deadline: float | None) -> None:
    """Train what is waiting until `deadline`, of time.monotonic, then those that nothing stopped with the other seeds.

    The standings tell what became of them. Who falls behind is stopped by what it came to with the first seed: another
    seed for each of these would cost as much as the search itself, and the finalists are few.
    """
    with _exit_code_of_an_interrupt():
        _train(settings, standings, waiting, deadline)
        _train(settings, standings, standings.further(), deadline)


def _train(settings: SweepConfig, standings: Standings, attempts: Sequence[Attempt], deadline: float | None) -> None:
    seconds = None if deadline is None else deadline - time.monotonic()
    if not attempts or (seconds is not None and seconds <= 0 and any(seed for _, seed in attempts)):
        return
    for seed in sorted({seed for _, seed in attempts}):
        name = f", seed {seed + 1} of {len(standings.tasks)}" if seed else ""
        _train_shared(standings.tasks[seed], name, standings.show)
    _tune(settings, standings, attempts, deadline and max(1.0, deadline - time.monotonic()))


def _train_shared(task: Task, seed: str, show: Show) -> None:
    if all([kept.stage(stage_uri(task.shared_uri, stage.name)) for stage in task.shared]):
        return
    name = f"train {', '.join(stage.name for stage in task.shared)} for all trials{seed}"
    show(Event(name, 0, 1))
    rank = Rank(next(iter(task.configs.values())), task.store, task.shared_uri)
    failure: str = ray.get(ray.remote(num_cpus=1)(train).remote(rank, task.shared, _unreported))
    if failure:
        raise Failure(f"no trial could start: {failure}")
    show(Event(name, 1, 1))


def _unreported(point: Point) -> None:
    """Tell nothing: what all trials share is no trial's."""


def _tune(settings: SweepConfig, standings: Standings, attempts: Sequence[Attempt], seconds: float | None) -> None:
    """Stopped by others are first attempts alone: what one was let through for, its other seeds are to tell."""
    task = standings.tasks[0]
    os.environ.update(TUNE_SETTINGS)
    files.remove(f"{task.uri}/tune")
    most_looks = max(task.num_looks(number) for number, _ in attempts)
    is_first = all(seed == 0 for _, seed in attempts)
    listener = _Listener(standings)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, tasks=dict(standings.tasks)), {"cpu": 1}),
        param_space={"attempt": tune.grid_search([list(attempt) for attempt in attempts])},
        tune_config=tune.TuneConfig(
            metric="ne",
            mode="min",
            scheduler=ASHAScheduler(
                time_attr="look",
                max_t=max(most_looks, settings.grace_looks),
                grace_period=settings.grace_looks,
                reduction_factor=settings.reduction,
            )
            if is_first
            else FIFOScheduler(),
            max_concurrent_trials=settings.concurrent,
            time_budget_s=seconds,
            reuse_actors=True,  # a process takes seconds to import what it needs
        ),
        run_config=tune.RunConfig(name="tune", storage_path=task.uri, verbose=0, callbacks=[listener]),
    )
    with suppress(EOFError):  # at its end it reads its own records of errors, which a full disk has left empty
        tuner.fit()
    if listener.met:
        raise listener.met[0]


@dataclass(eq=False)
class _Listener(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped to us
    """Whom Tune tells, in this process, how its trials go."""

    standings: Standings
    met: list[Exception] = field(default_factory=list)
    """What it has met itself, which Tune would take for the trial's."""

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # Tune keeps a pickle of its settings, which nobody reads here

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.standings.start(_attempt(trial))

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        attempt = _attempt(trial)
        if "failure" in result:
            self.standings.fail(attempt, result["failure"])
        else:
            beside = {name: float(result[name]) for name in BESIDE_NE.values() if name in result}
            self.standings.look(attempt, Look(int(result["step"]), float(result["ne"]), **beside))

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        try:
            self.standings.complete(_attempt(trial))
        except Exception as error:
            self.met.append(error)
            raise

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = None
        with suppress(EOFError):
            error = trial.get_pickled_error() or trial.get_error()
        why = server.first_line(getattr(error, "cause", None) or error or RuntimeError("the trial's process died"))
        self.standings.give_up(_attempt(trial), why)


def _attempt(trial: Any) -> Attempt:
    number, seed = trial.config["attempt"]
    return number, seed


@contextmanager
def _exit_code_of_an_interrupt() -> Iterator[None]:
    """Ray waits in code of its own, out of which a signal handler's exit comes with a code of 0 or 1."""
    try:
        yield
    except SystemExit as stopped:
        sys.exit(INTERRUPTED if stopped.code in (0, 1) else stopped.code)
