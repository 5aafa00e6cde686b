"""Sweeps as MLflow runs: one parent a sweep, one child a trial."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.registry import server, views
from pipeline.registry.datasets import LogRows
from pipeline.registry.ending import ending
from pipeline.registry.run_log import RunLog
from pipeline.registry.tags import BEST_TRIAL, IDENTITY, NOTE, PARENT, PART_OF, STAGE, VALUES
from pipeline.registry.tracking import Tracking
from schemas.config import TrainConfig
from schemas.defaults import tree_of
from schemas.redaction import redacted_tree
from schemas.sweep import SweepConfig, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.registry.client import Client

LOOKS = "validation/"  # before what a look found
LOOK_NE, BEST_NE = f"{LOOKS}ne", f"{LOOKS}best_ne"
DEVIATION = "_deviation"  # over the seeds, after the name of what varies

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SweepRuns:
    """The runs of one sweep; `trials` maps the number of a trial that is over to its run id.

    Trials go on when MLflow does not answer: what it has not taken is sent later, at the latest when the sweep ends.
    """

    tracking: Tracking
    run_id: str
    name: str
    trials: dict[int, str] = field(default_factory=dict)
    _log: RunLog = field(init=False)
    _numbers: tuple[int, ...] = ()
    _rows: Sequence[LogRows] = ()
    _ended: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    """Status and description of the trials that are over, and when they were, in milliseconds since 1970."""
    _unsent: set[int] = field(default_factory=set)
    """Trials that are over, and of which MLflow does not know it yet."""

    @property
    def client(self) -> "Client":
        return self.tracking.client

    def start_trial(self, number: int) -> None:
        """Its run lasts from here."""
        self._log.begin(str(number))

    def log_data(self, rows: Sequence[LogRows]) -> None:
        """What each trial learns from and is judged by."""
        self._rows = rows
        self.client.log_inputs(self.run_id, [one.as_input() for one in rows if one.num_rows])

    def log_look(self, number: int, step: int, ne: float, beside: tuple[str, float]) -> None:
        """`beside`: the name of the other figure of a look, such as AUC, and what it is."""
        name, value = beside
        self._log.add(str(number), {LOOK_NE: ne, f"{LOOKS}{name}": value}, step)

    def finish_trial(
        self, number: int, best_ne: float, beside: tuple[str, float], deviations: tuple[float, float] | None = None
    ) -> None:
        """Of several seeds these are means, with the `deviations` of both."""
        figures = {BEST_NE: best_ne, f"{LOOKS}{beside[0]}_at_best_ne": beside[1]}
        spread = {f"{name}{DEVIATION}": one for name, one in zip(figures, deviations or (), strict=False)}
        self._log.add(str(number), figures | spread, 0)
        self._end_trial(number, "FINISHED")

    def fail_trial(self, number: int, why: str) -> None:
        """Its description says why."""
        self._end_trial(number, "FAILED", why)

    def kill_trial(self, number: int, why: str) -> None:
        """One that was stopped before anything had come of it."""
        self._end_trial(number, "KILLED", why)

    def conclude(
        self,
        best: int,
        best_ne: float,
        deviations: tuple[float, float] | None,
        values: Mapping[str, Any],
        config_yaml: str,
    ) -> None:
        """The best trial's values as the parent's parameters, its NE, and its config as `best.yaml`."""
        from mlflow.entities import Metric, Param

        client = self.client
        start_ms = client.get_run(self.run_id).info.start_time
        params = [Param(key, text) for key, text in _texts(values).items()]
        figures = {BEST_NE: best_ne} | ({f"{BEST_NE}{DEVIATION}": deviations[0]} if deviations else {})
        metrics = [Metric(name, value, start_ms, 0) for name, value in figures.items()]
        client.log_batch(self.run_id, metrics=metrics, params=params)
        client.set_tag(self.run_id, BEST_TRIAL, str(best))
        client.update_run(self.run_id, name=f"{self.name} · trial {best} best")
        client.log_text(self.run_id, config_yaml, "best.yaml")

    def log_text(self, name: str, text: str) -> None:
        self.client.log_text(self.run_id, text, name)

    def log_figure(self, name: str, figure: "Figure") -> None:
        self.client.log_figure(self.run_id, figure, f"plots/{name}.png")

    def _begin(self, sweep: SweepConfig, config: TrainConfig, trials: Sequence[Trial]) -> None:
        client = self.client
        for name, tree in (("config.yaml", tree_of(config)), ("sweep.yaml", sweep.model_dump(mode="json"))):
            resolved = yaml.safe_dump(redacted_tree(tree), sort_keys=False)
            client.log_text(self.run_id, resolved, name)
        openings = {}
        for trial in trials:
            drawn = _rounded(trial.values, f"stages.{sweep.stage}.")
            tags = {PARENT: self.run_id, PART_OF: self.name, STAGE: sweep.stage, VALUES: drawn}
            name = f"trial {trial.number}"
            openings[str(trial.number)] = self.tracking.opening("trial", name, tags, _texts(trial.values))
        self._log = RunLog(self.tracking.uri, {}, openings)
        self._numbers = tuple(trial.number for trial in trials)

    def _end_trial(self, number: int, status: str, why: str = "") -> None:
        self._ended[number] = (status, why, int(time.time() * 1000))
        self._unsent.add(number)
        try:
            with server.impatience():
                self._send_end(number)
        except Exception as error:
            logger.warning("MLflow does not take how trial %d ended: %s", number, server.first_line(error))

    def _send_end(self, number: int) -> None:
        status, why, ended_ms = self._ended[number]
        run_id = self.trials[number] = self._log.run_of(str(number))
        if self._rows:
            self.client.log_inputs(run_id, [one.as_input() for one in self._rows if one.num_rows])
        if why:
            self.client.set_tag(run_id, NOTE, why)
        self.client.set_terminated(run_id, status, ended_ms)
        self._unsent.discard(number)

    def end(self, status: str) -> None:
        """The parent last: where this is cut short, the parent is still running, and ended the next time."""
        for number in sorted(self._unsent):
            self._send_end(number)
        for number in self._numbers:
            if number not in self._ended:
                self.trials[number] = self._log.run_of(str(number))
                self.client.set_terminated(self.trials[number], status)
        self.client.set_terminated(self.run_id, status)


@contextmanager
def recorded(
    tracking: Tracking, identity: str, sweep: SweepConfig, config: TrainConfig, trials: Sequence[Trial]
) -> Iterator[SweepRuns]:
    """Open the runs of a sweep: FINISHED at the end, FAILED on an exception, KILLED on Ctrl-C or SIGTERM.

    A trial that is over keeps the status it ended with. What a killed driver left running under the same identity is
    ended first, as KILLED.
    """
    tracking.end_stale(identity)
    params = sweep.model_dump(mode="json", exclude={"space"})
    space = {key: values.model_dump_json(exclude_unset=True) for key, values in sweep.space.items()}
    views.offer(tracking, config.data.features.objective)
    opening = tracking.opening("sweep", f"sweep {sweep.stage}", {IDENTITY: identity}, {**params, "space": space})
    runs = SweepRuns(tracking, opening.open(tracking.client), opening.name)
    with ending(runs):
        runs._begin(sweep, config, trials)
        yield runs


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _rounded(values: Mapping[str, Any], prefix: str) -> str:
    """What was drawn, for people, with four digits."""
    texts = {key.removeprefix(prefix): f"{one:.4g}" if isinstance(one, float) else one for key, one in values.items()}
    return ", ".join(f"{key} {text}" for key, text in _texts(texts).items())
