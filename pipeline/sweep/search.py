"""A search for the best values of a config's keys: trials of one stage under Ray Tune, judged by validation rows."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from math import ceil
from typing import Any

import fsspec
import ray
import torch
import yaml
from pydantic import TypeAdapter
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from pipeline.data.store import Store
from pipeline.registry import server, sweep_runs
from pipeline.registry.sweep_runs import SweepRuns
from pipeline.registry.tracking import connect
from pipeline.retrain.dataset import Inputs, encoded_store, find_inputs
from pipeline.runtime import cluster, files
from pipeline.runtime.progress import Event, Point, Report, Show
from pipeline.training import checkpoint, local, memory
from pipeline.training.checkpoint import stage_uri
from pipeline.training.on_ray import trainer
from pipeline.training.rank import Rank
from pipeline.training.step import Diverged
from schemas.config import ClusterConfig, TrainConfig
from schemas.errors import INTERRUPTED, Failure, Refusal
from schemas.loading import absolute
from schemas.stage import EarlyStopConfig, StageConfig
from schemas.sweep import SweepConfig, Trial, lineage, owner

LOOKS = 8  # at the validation rows, in a stage that does not say how often
NEVER = 1_000_000  # looks of patience: the sweep alone stops the stage
WORST_NE = 1e6  # of a trial that diverged; a number, since ASHA takes percentiles
# Else Tune writes each result to three files, takes Ctrl-C for a wish to end in good order, and prints to stdout.
TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial: step and NE at its looks, which are `num_looks` where nothing stops it, or a failure."""

    number: int
    values: dict[str, Any]
    num_looks: int = 0
    looks: tuple[tuple[int, float], ...] = ()
    failure: str = ""

    @property
    def best_ne(self) -> float | None:
        """None where it failed, or was stopped before it looked."""
        return None if self.failure else min((ne for _, ne in self.looks), default=None)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sweep came to; `best_yaml` is the best trial's whole config, as `nightjar train` takes it."""

    run_id: str
    identity: str
    tracking_uri: str
    stage: str
    best_trial: int
    best_ne: float
    outcomes: tuple[Outcome, ...]
    best_yaml: str


@dataclass(frozen=True, slots=True)
class Task:
    """What trials are told; `shared` are the stages that all of them start from, published under `shared_uri`."""

    stage: str
    configs: Mapping[int, TrainConfig]
    store: Store
    uri: str
    shared: tuple[StageConfig, ...]

    @property
    def shared_uri(self) -> str:
        return f"{self.uri}/shared"

    def trial_uri(self, number: int) -> str:
        return f"{self.uri}/trials/{number}"

    def num_looks(self, number: int) -> int:
        """Of a trial that nothing stops."""
        rank, stage = Rank(self.configs[number], self.store, ""), lineage(self.configs[number], self.stage)[-1]
        assert stage.early_stop is not None
        every = max(1, round(stage.early_stop.every_epochs * rank.steps_per_epoch(stage)))
        return ceil(rank.num_steps(stage) / every)


def sweep(settings: SweepConfig, config: TrainConfig, trials: Sequence[Trial], command: str, show: Show) -> Summary:
    """Train the trials and find the one with the lowest NE on the validation rows; `command` is for the record.

    Raises Refusal for what the user must change, before any trial starts, and Failure if no trial came to a look. The
    same sweep of the same log again returns the finished one. Of an unfinished one it trains what is missing; ASHA then
    compares these trials alone.
    """
    began = time.monotonic()
    inputs = find_inputs(config, show)
    identity = _identity(settings, trials, inputs)
    tracking = connect(config.mlflow, config.work_uri)
    uri = f"{absolute(config.work_uri)}/sweeps/{identity}"
    if tracking.find_finished(identity) and files.exists(f"{uri}/summary.json"):
        show(Event("this sweep is finished already", 1, 1, f"its results are in {uri}"))
        return TypeAdapter(Summary).validate_json(files.read_bytes(f"{uri}/summary.json"))
    with cluster.connected(config.cluster):
        task = _prepare(settings, config, trials, inputs, uri, show)
        with sweep_runs.recorded(tracking, identity, settings, config, trials) as runs:
            search = _Search(task, trials, runs, show)
            search.run(settings, began)
            summary = _conclude(search, tracking.uri, identity, command)
    if len(search.over) == len(trials):
        files.write_bytes(f"{uri}/summary.json", json.dumps(asdict(summary)).encode())
        for folder in ("outcomes", "shared", "trials", "tune"):
            files.remove(f"{uri}/{folder}")
    return summary


def with_looks(config: TrainConfig, name: str, every_epochs: float) -> TrainConfig:
    """The config whose stage looks at the validation rows: as it says itself, else so often, without ever stopping."""
    if lineage(config, name)[-1].early_stop:
        return config
    early_stop = EarlyStopConfig(every_epochs=every_epochs, patience=NEVER)
    of_name = {stage.name: stage for stage in config.stages}
    of_name[owner(config, name)] = of_name[owner(config, name)].model_copy(update={"early_stop": early_stop})
    return config.model_copy(update={"stages": tuple(of_name.values())})


def shared_stages(configs: Sequence[TrainConfig], name: str) -> tuple[StageConfig, ...]:
    """The first of the stages before that one: those that every trial would train alike."""
    if any(config.table != configs[0].table for config in configs):
        return ()
    earlier = zip(*(lineage(config, name)[:-1] for config in configs), strict=False)
    return tuple(stages[0] for stages in takewhile(lambda stages: stages.count(stages[0]) == len(stages), earlier))


def _prepare(
    settings: SweepConfig, config: TrainConfig, trials: Sequence[Trial], inputs: Inputs, uri: str, show: Show
) -> Task:
    store = encoded_store(config, inputs, show)
    every_epochs = lineage(config, settings.stage)[-1].epochs / LOOKS
    configs = {one.number: with_looks(one.config, settings.stage, every_epochs) for one in trials if one.config}
    task = Task(settings.stage, configs, store, uri, shared_stages(list(configs.values()), settings.stage))
    _check_memory(settings, task)
    if len(trials) < settings.trials:
        note = f"{len(trials)} of {settings.trials} trials: the space holds no more values"
        show(Event("draw values", 1, 1, note))
    return task


def _check_memory(settings: SweepConfig, task: Task) -> None:
    """Each trial holds a whole table."""
    largest = max(task.configs.values(), key=lambda config: config.table.dimension)
    at_once = min(settings.concurrent or int(ray.cluster_resources().get("CPU", 1)), len(task.configs))
    whole = largest.table.model_copy(update={"placement": "replicated"})
    ranks = ClusterConfig(num_workers=max(1, at_once))
    try:
        trainer.check_memory(largest.model_copy(update={"table": whole, "cluster": ranks}), task.store.num_ids)
    except Refusal as refusal:
        raise Refusal(
            found=refusal.found,
            expected=refusal.expected,
            where="table, concurrent",
            remedy="fewer `concurrent` trials, a smaller table.dimension or a larger min_count",
        ) from refusal


def _run_trial(point: Mapping[str, int], task: Task) -> None:
    """In a process of Tune's, on one thread. Tune stops it by an exception out of a report."""
    number = point["trial"]
    config, uri = task.configs[number], task.trial_uri(number)
    num_looks = 0

    def report(point: Point) -> None:
        nonlocal num_looks
        if point.stage == task.stage and sweep_runs.LOOK_NE in point.metrics:
            num_looks += 1
            tune.report({"ne": point.metrics[sweep_runs.LOOK_NE], "look": num_looks, "step": point.step})

    files.remove(uri)  # of an earlier attempt
    for stage in task.shared:
        _copy(stage_uri(task.shared_uri, stage.name), stage_uri(uri, stage.name))
    failure = _train(Rank(config, task.store, uri), lineage(config, task.stage), report)
    if failure:
        tune.report({"ne": WORST_NE, "look": num_looks + 1, "step": 0, "failure": failure})


def _train(rank: Rank, stages: Sequence[StageConfig], report: Report) -> str:
    """Train what is not published yet; why that could not be done, where another attempt would come to the same."""
    torch.set_num_threads(1)
    memory.keep_freed()
    try:
        for stage in stages:
            if not checkpoint.is_published(stage_uri(rank.run_uri, stage.name)):
                local.run_stage(rank, stage, report)
    except (Diverged, ValueError) as error:  # a look can meet what is not finite before the next step does
        return str(error)
    return ""


def _unreported(point: Point) -> None:
    """Of stages that all trials share, nothing is told."""


def _copy(source_uri: str, target_uri: str) -> None:
    fs, target = fsspec.core.url_to_fs(target_uri)
    fs.makedirs(target, exist_ok=True)
    for name in files.names(source_uri):
        fs.cp_file(fsspec.core.url_to_fs(f"{source_uri}/{name}")[1], f"{target}/{name}")


@dataclass(eq=False)
class _Search(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped to us
    """The trials as Tune runs them, and what has become of each. Its `on_` methods are called by Tune, here."""

    task: Task
    trials: Sequence[Trial]
    runs: SweepRuns
    show: Show
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)
    """Trials that would come to the same if they were trained again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # Tune keeps a pickle of its settings, which nobody reads here

    def run(self, settings: SweepConfig, began: float) -> None:
        for trial in self.trials:
            self._open(trial)
        waiting = [trial.number for trial in self.trials if trial.number not in self.over]
        if waiting:
            with _exit_code_of_an_interrupt():
                self._train_shared()
                self._tune(settings, waiting, began)
        for number in set(waiting) - self.over:
            self._end(self.outcomes[number], f"not within the sweep's {settings.seconds or 0:g} seconds")

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        outcome = self.outcomes[trial.config["trial"]]
        self.show(Event(self._name(outcome.number), 0, outcome.num_looks))

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        outcome = self.outcomes[trial.config["trial"]]
        if "failure" in result:
            self.outcomes[outcome.number] = replace(outcome, failure=result["failure"])
            return
        step, ne = int(result["step"]), float(result["ne"])
        looks = (*outcome.looks, (step, ne))
        self.outcomes[outcome.number] = replace(outcome, looks=looks)
        self.runs.log_look(outcome.number, ne, step)
        if len(looks) < outcome.num_looks:
            self.show(Event(self._name(outcome.number), len(looks), outcome.num_looks, f"NE {ne:.4g}"))

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        outcome = self.outcomes[trial.config["trial"]]
        self.over.add(outcome.number)
        files.write_bytes(self._kept_at(outcome.number), json.dumps(asdict(outcome)).encode())
        files.remove(self.task.trial_uri(outcome.number))
        self._end(outcome)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = trial.get_pickled_error() or trial.get_error()
        why = server.first_line(getattr(error, "cause", None) or error or RuntimeError("the trial's process died"))
        outcome = replace(self.outcomes[trial.config["trial"]], failure=why)
        self.outcomes[outcome.number] = outcome
        self._end(outcome)

    def _open(self, trial: Trial) -> None:
        """Know of the trial; one that is over already, as refused or by an earlier call, ends at once."""
        if trial.refusal:
            refusal = trial.refusal
            outcome = Outcome(trial.number, trial.values, failure=f"found {refusal.found}, expected {refusal.expected}")
        elif files.exists(self._kept_at(trial.number)):
            outcome = TypeAdapter(Outcome).validate_json(files.read_bytes(self._kept_at(trial.number)))
        else:
            self.outcomes[trial.number] = Outcome(trial.number, trial.values, self.task.num_looks(trial.number))
            return
        self.outcomes[trial.number] = outcome
        self.over.add(trial.number)
        for step, ne in outcome.looks:
            self.runs.log_look(trial.number, ne, step)
        self._end(outcome)

    def _end(self, outcome: Outcome, why_without_looks: str = "") -> None:
        """Of a trial: its run, and what is shown of it."""
        done = max(1, len(outcome.looks))
        if outcome.failure:
            self.runs.fail_trial(outcome.number, outcome.failure)
            note = f"failed: {outcome.failure}"
        elif outcome.best_ne is None:
            self.runs.kill_trial(outcome.number, why_without_looks)
            note = why_without_looks
        else:
            self.runs.finish_trial(outcome.number, outcome.best_ne)
            is_stopped = len(outcome.looks) < outcome.num_looks
            note = f"NE {outcome.best_ne:.4g}" + f", stopped at look {done} of {outcome.num_looks}" * is_stopped
        self.show(Event(self._name(outcome.number), done, done, note))

    def _train_shared(self) -> None:
        task = self.task
        if not task.shared or checkpoint.is_published(stage_uri(task.shared_uri, task.shared[-1].name)):
            return
        name = f"train {', '.join(stage.name for stage in task.shared)} for all trials"
        self.show(Event(name, 0, 1))
        rank = Rank(next(iter(task.configs.values())), task.store, task.shared_uri)
        failure: str = ray.get(ray.remote(num_cpus=1)(_train).remote(rank, task.shared, _unreported))
        if failure:
            raise Failure(f"no trial could start: {failure}")
        self.show(Event(name, 1, 1))

    def _tune(self, settings: SweepConfig, waiting: list[int], began: float) -> None:
        os.environ.update(TUNE_SETTINGS)
        files.remove(f"{self.task.uri}/tune")
        most_looks = max(self.task.num_looks(number) for number in waiting)
        seconds_left = settings.seconds and max(1.0, settings.seconds - (time.monotonic() - began))
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_run_trial, task=self.task), {"cpu": 1}),
            param_space={"trial": tune.grid_search(waiting)},
            tune_config=tune.TuneConfig(
                metric="ne",
                mode="min",
                scheduler=ASHAScheduler(
                    time_attr="look",
                    max_t=max(most_looks, settings.grace_looks),
                    grace_period=settings.grace_looks,
                    reduction_factor=settings.reduction,
                ),
                max_concurrent_trials=settings.concurrent,
                time_budget_s=seconds_left,
                reuse_actors=True,  # a process takes seconds to import what it needs
            ),
            run_config=tune.RunConfig(name="tune", storage_path=self.task.uri, verbose=0, callbacks=[self]),
        )
        tuner.fit()

    def _name(self, number: int) -> str:
        return f"trial {number} of {len(self.trials)}"

    def _kept_at(self, number: int) -> str:
        return f"{self.task.uri}/outcomes/{number}.json"


@contextmanager
def _exit_code_of_an_interrupt() -> Iterator[None]:
    """Ray waits in code of its own, out of which a signal handler's exit comes with a code of 0 or 1."""
    try:
        yield
    except SystemExit as stopped:
        sys.exit(INTERRUPTED if stopped.code in (0, 1) else stopped.code)


def _conclude(search: _Search, tracking_uri: str, identity: str, command: str) -> Summary:
    outcomes = tuple(search.outcomes[trial.number] for trial in search.trials)
    best_nes = {outcome.number: outcome.best_ne for outcome in outcomes if outcome.best_ne is not None}
    if not best_nes:
        failed = [outcome for outcome in outcomes if outcome.failure]
        if not failed:
            raise Failure("no trial came to a first look within the sweep's `seconds`")
        raise Failure(f"{len(failed)} of {len(outcomes)} trials failed, none succeeded; the first: {failed[0].failure}")
    best = min(best_nes, key=lambda number: best_nes[number])
    origin = f"{command}: trial {best} of {len(outcomes)}, validation NE {best_nes[best]:.6g}"
    best_yaml = as_yaml(search.task.configs[best], origin)
    search.runs.conclude(best, best_nes[best], search.outcomes[best].values, best_yaml)
    return Summary(
        run_id=search.runs.run_id,
        identity=identity,
        tracking_uri=tracking_uri,
        stage=search.task.stage,
        best_trial=best,
        best_ne=best_nes[best],
        outcomes=outcomes,
        best_yaml=best_yaml,
    )


def as_yaml(config: TrainConfig, origin: str) -> str:
    """The whole config, with `origin` on the first line; its paths are absolute, so that they hold anywhere."""
    tree = config.model_dump(mode="json")
    tree["work_uri"] = absolute(config.work_uri)
    tree["data"]["logs_uri"] = absolute(config.data.logs_uri)
    if config.mlflow.tracking_uri:
        tree["mlflow"]["tracking_uri"] = server.resolve_uri(config.mlflow, config.work_uri)
    first_line = server.redacted(" ".join(origin.split()))
    return f"# {first_line}\n{yaml.safe_dump(tree, sort_keys=False)}"


def _identity(settings: SweepConfig, trials: Sequence[Trial], inputs: Inputs) -> str:
    """Not by what the sweep may cost: what one call began, another with more time or more processes may end."""
    what = settings.model_dump_json(exclude={"concurrent", "seconds"})
    configs = [one.config.model_dump_json(include={"stages", "table"}) if one.config else "" for one in trials]
    return hashlib.sha256("\0".join([inputs.identity, what, *configs]).encode()).hexdigest()[:16]
