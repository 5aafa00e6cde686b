"""A search for the best values of a config's keys: trials of one stage under Ray Tune, judged by validation rows."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import ray
from pydantic import TypeAdapter

from pipeline.registry import sweep_runs
from pipeline.registry.tracking import connect
from pipeline.report.page import REPORT
from pipeline.retrain import defaults, on_nodes, recording, stage_days
from pipeline.retrain.dataset import Inputs, encoded_store, find_inputs
from pipeline.runtime import cluster, files, fingerprint, trusted
from pipeline.runtime.progress import Clock, Event, Show
from pipeline.sweep import neighbours, outcome, page, tuning
from pipeline.sweep.best_config import Given
from pipeline.sweep.outcome import Summary
from pipeline.sweep.standings import Standings
from pipeline.sweep.task import Task
from pipeline.training import fitting
from schemas.checking import derived
from schemas.config import ClusterConfig, TrainConfig
from schemas.errors import Refusal
from schemas.redaction import redacted
from schemas.sweep import SweepConfig, Trial

# The sources that decide what a sweep finds, beside those of a retrain.
SEARCHING = ("schemas/drawn.py", "schemas/sweep.py", "pipeline/sweep")


def sweep(settings: SweepConfig, config: TrainConfig, trials: Sequence[Trial], given: Given, show: Show) -> Summary:
    """Train the trials and find the one with the lowest NE on the validation rows; `given` is the config as it was.

    Raises Refusal for what the user must change, before any trial starts, and Failure if no trial came to a look. The
    same sweep of the same log again returns the finished one. Of an unfinished one it trains what is missing; ASHA then
    compares these trials alone.
    """
    began = time.monotonic()
    clock = Clock.of(show)
    inputs = find_inputs(config, clock)
    trials = _completed(trials, inputs)
    identity = _identity(settings, trials, inputs)
    tracking = connect(config.mlflow, config.work_uri)
    uri = f"{config.work_uri}/sweeps/{identity}"
    finished = trusted.kept(f"{uri}/summary.json", _parse_summary) if tracking.find_finished(identity) else None
    if finished:
        show(Event("this sweep is finished already", 1, 1, f"its results are in {uri}"))
        return finished
    with cluster.connected(config.cluster, [on_nodes.folder(config), on_nodes.log(inputs.manifest)]):
        store = encoded_store(config, inputs, clock)
        task = Task.of(settings.stage, trials, store, uri)
        _check_memory(settings, task)
        if len(trials) < settings.trials:
            note = f"{len(trials)} of {settings.trials} trials: the space holds no more values"
            show(Event("draw values", 1, 1, note))
        with sweep_runs.recorded(tracking, identity, settings, config, trials) as runs:
            rows = recording.rows_of(config, inputs, store)
            runs.log_data([one for one in rows if one.context != "evaluation"])  # no trial is told of held-out rows
            standings = Standings(task.of_seeds(settings.seeds), trials, runs, clock)
            with clock.unshown("train the trials"):
                tuning.train_all(settings, standings, standings.open(), settings.seconds and began + settings.seconds)
            standings.run_out(f"not within the sweep's {settings.seconds or 0:g} seconds")
            summary = _conclude(settings, standings, tracking.uri, identity, given)
            around = neighbours.around(summary.best_trial, summary.outcomes, settings.space, task)
            log = {"log": inputs.manifest.fingerprint, "read from": redacted(config.data.logs_uri)}
            runs.log_text(REPORT, page.render(summary, settings, around, clock.phases, log))
    if standings.are_all_over:
        _keep(summary, uri)
    return summary


def _completed(trials: Sequence[Trial], inputs: Inputs) -> list[Trial]:
    """With the days and settings that their stages leave open. Raises Refusal for days that the log does not have."""
    for trial in trials:
        if trial.config:
            stage_days.require(trial.config, inputs.train_days)
    return [replace(one, config=one.config and defaults.completed(one.config, inputs)[0]) for one in trials]


def _keep(summary: Summary, uri: str) -> None:
    """What a finished sweep came to, and nothing of what it went by."""
    trusted.write(f"{uri}/summary.json", asdict(summary))
    for folder in ("logits", "outcomes", "seeds", "shared", "trials", "tune"):
        files.remove(f"{uri}/{folder}")


def _parse_summary(content: bytes) -> Summary:
    return TypeAdapter(Summary).validate_python(trusted.unsealed(content))


def _check_memory(settings: SweepConfig, task: Task) -> None:
    """Each trial holds a whole table."""
    largest = max(task.configs.values(), key=lambda config: config.table.dimension)
    at_once = min(settings.concurrent or int(ray.cluster_resources().get("CPU", 1)), len(task.configs))
    whole, ranks = derived(largest.table, placement="replicated"), ClusterConfig(num_workers=max(1, at_once))
    try:
        fitting.check_memory(whole, ranks, largest.plan, task.store.num_ids)
    except Refusal as refusal:
        raise Refusal(
            found=refusal.found,
            expected=refusal.expected,
            where="table, concurrent",
            remedy="fewer `concurrent` trials, a smaller table.dimension or a larger min_count",
        ) from refusal


def _conclude(settings: SweepConfig, standings: Standings, tracking_uri: str, identity: str, given: Given) -> Summary:
    outcomes = tuple(standings.outcome(trial.number) for trial in standings.trials)
    best, judged = outcome.best_of(outcomes)
    values = next(one.values for one in outcomes if one.number == best)
    bounds = {key: settings.space[key].bound_near(value) for key, value in values.items()}
    summary = Summary(
        run_id=standings.runs.run_id,
        identity=identity,
        tracking_uri=redacted(tracking_uri),
        stage=settings.stage,
        best_trial=best,
        best_ne=judged.ne,
        outcomes=outcomes,
        at_bounds={key: bound for key, bound in bounds.items() if bound is not None},
        num_seeds=settings.seeds,
    )
    best_yaml = given.best(values, summary.came_to)
    standings.runs.conclude(best, judged.ne, judged.deviations, values, best_yaml)
    standings.runs.log_figure("parallel_coordinates", outcome.plot(settings, outcomes))
    return summary


def _identity(settings: SweepConfig, trials: Sequence[Trial], inputs: Inputs) -> str:
    """Not by what the sweep may cost: what one call began, another with more time or more processes may end."""
    what = settings.model_dump_json(exclude={"concurrent", "seconds"})
    configs = [one.config.model_dump_json(include={"stages", "table"}) if one.config else "" for one in trials]
    return fingerprint.digest(inputs.identity, what, *configs, fingerprint.of_sources(*SEARCHING))
