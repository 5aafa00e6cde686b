"""Retrains as MLflow runs: one parent a retrain, one child a stage, by explicit run ids, never by the fluent API."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getuser
from math import isfinite
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.evaluation.metrics import VALIDATION
from pipeline.registry import server
from pipeline.registry.database import WHERE
from pipeline.registry.ending import ending
from pipeline.registry.run_log import RunLog
from pipeline.registry.tags import BEST_STAGE, IDENTITY, NOTE, OUTCOME, PARENT, RUN_NAME, STAGE, USER, has, of_setting
from schemas.config import MLflowConfig, TrainConfig
from schemas.errors import Refusal
from schemas.redaction import redacted, redacted_tree
from schemas.stage import StageConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.entities import Run

    from pipeline.registry.client import Client

TOTALS = ("rows_seen", "rows_per_second", "seconds")  # what a stage's results hold besides its metrics
MAX_PARAMS = 100  # of a call, by MLflow's API


@dataclass(frozen=True, slots=True)
class Tracking:
    """A tracking server, or a database in its place, that has answered, and the experiment to record in.

    For those who only read there may be no experiment yet: its id is then empty.
    """

    uri: str
    experiment_id: str

    @property
    def client(self) -> "Client":
        return server.open_client(self.uri)

    def find_finished(self, identity: str) -> "Retrain | None":
        """The newest finished retrain of that identity."""
        for parent in self._search(f"{has(IDENTITY, identity)} and attributes.status = 'FINISHED'"):
            return Retrain(self, parent.info.run_id, self._stages_of(parent.info.run_id))
        return None

    @contextmanager
    def retrain(self, identity: str, name: str, config: TrainConfig, manifest_json: str) -> "Iterator[Retrain]":
        """Open the run of a retrain, to be ended with those of its stages: as FINISHED, as FAILED after an exception,
        as KILLED after Ctrl-C or SIGTERM.

        Why it failed becomes the description of its run. What an earlier attempt of the same identity has left goes on
        under the runs that it had.
        """
        retrain = self._take_up(identity)
        if retrain is None:
            retrain = Retrain(self, self.create(name, {IDENTITY: identity}, config.model_dump(mode="json")))
        with ending(retrain):
            retrain._begin(config, manifest_json)
            yield retrain

    def _take_up(self, identity: str) -> "Retrain | None":
        """The newest attempt of that identity, running again; one that finished was killed before it could say so."""
        for parent in self._search(has(IDENTITY, identity)):
            retrain = Retrain(self, parent.info.run_id, self._stages_of(parent.info.run_id))
            self.client.update_run(retrain.run_id, status="RUNNING")
            if NOTE in parent.data.tags:
                self.client.delete_tag(retrain.run_id, NOTE)
            return retrain
        return None

    def _stages_of(self, run_id: str) -> dict[str, str]:
        children = self._search(has(PARENT, run_id))
        return {child.data.tags[STAGE]: child.info.run_id for child in children}

    def end_stale(self, identity: str) -> None:
        """End as KILLED what a killed driver has left running under the identity, children first."""
        for stale in self._search(f"{has(IDENTITY, identity)} and attributes.status = 'RUNNING'"):
            children = self._search(has(PARENT, stale.info.run_id))
            for run in [*(child for child in children if child.info.status in ("RUNNING", "SCHEDULED")), stale]:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def create(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        """A run of that name, with a tree of parameters; its id."""
        from mlflow.entities import Param

        tags = {RUN_NAME: name, USER: _user(), **tags}
        run_id: str = self.client.create_run(self.experiment_id, tags=tags).info.run_id
        entities = [Param(key, value) for key, value in flatten(params)]
        for start in range(0, len(entities), MAX_PARAMS):
            self.client.log_batch(run_id, params=entities[start : start + MAX_PARAMS])
        return run_id

    def _search(self, filter_string: str) -> "list[Run]":
        return list(
            self.client.search_runs([self.experiment_id], filter_string, order_by=["attributes.start_time DESC"])
        )


@dataclass(frozen=True, slots=True)
class Retrain:
    """The runs of one retrain; `stages` maps a stage's name to its run id."""

    tracking: Tracking
    run_id: str
    stages: dict[str, str] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    @property
    def client(self) -> "Client":
        return self.tracking.client

    @property
    def log(self) -> RunLog:
        """What rank 0 logs the curves with."""
        return RunLog(self.tracking.uri, self.stages)

    def finish_stage(self, stage: str, results: Mapping[str, float], settings: Mapping[str, str] | None = None) -> None:
        """Log a stage's final figures and, as tags, what its workers chose on the machine they found; end its run."""
        self._log_final(self.stages[stage], results)
        for name, value in (settings or {}).items():
            self.client.set_tag(self.stages[stage], of_setting(name), value)
        self.client.set_terminated(self.stages[stage], "FINISHED")
        self._ended.add(stage)

    def fail_stage(self, stage: str, why: str) -> None:
        """End the run of a stage that could not be trained; its description says why, the parent's tag that it did."""
        self.client.set_tag(self.stages[stage], NOTE, why)
        self.client.set_terminated(self.stages[stage], "FAILED")
        self._ended.add(stage)
        self.set_tag(OUTCOME, "partial")

    def log_lift(self, stage: str, lift: Mapping[str, float], words: str) -> None:
        """What pretraining bought the stage: figures under `lift/`, and in words as its run's description."""
        self._log(self.stages[stage], {f"lift/{name}": value for name, value in lift.items()})
        self.client.set_tag(self.stages[stage], NOTE, words)

    def log_best(self, stage: str, results: Mapping[str, float]) -> None:
        """The best stage's figures on the parent too, so that nights compare."""
        self._log_final(self.run_id, results)
        self.set_tag(BEST_STAGE, stage)

    def log_figures(self, figures: "Mapping[str, Figure]") -> None:
        """Name -> figure, as PNG on the parent."""
        for name, figure in figures.items():
            self.client.log_figure(self.run_id, figure, f"plots/{name}.png")

    def log_text(self, name: str, text: str) -> None:
        self.client.log_text(self.run_id, text, name)

    def set_tag(self, key: str, value: str) -> None:
        self.client.set_tag(self.run_id, key, value)

    def open_stages(self, stages: Sequence[StageConfig]) -> None:
        """A run for each, scheduled until rank 0 logs the first point of it; those that are open already stay."""
        for stage in stages:
            if stage.name not in self.stages:
                tags = {PARENT: self.run_id, STAGE: stage.name}
                self.stages[stage.name] = self.tracking.create(stage.name, tags, stage.model_dump(mode="json"))
            self.client.update_run(self.stages[stage.name], status="SCHEDULED")

    def log_final(self, section: str, figures: Mapping[str, float]) -> None:
        """Figures of the whole retrain, under `section/`; what is not finite is left out."""
        self._log(self.run_id, {f"{section}/{name}": value for name, value in figures.items()})

    def describe(self, words: str) -> None:
        """The run's description, which stands on top of its page."""
        self.set_tag(NOTE, words)

    def _begin(self, config: TrainConfig, manifest_json: str) -> None:
        resolved = yaml.safe_dump(redacted_tree(config.model_dump(mode="json")), sort_keys=False)
        self.log_text("config.yaml", resolved)
        self.log_text("features.json", config.data.features.model_dump_json(indent=1))
        self.log_text("manifest.json", manifest_json)

    def _log_final(self, run_id: str, results: Mapping[str, float]) -> None:
        self._log(run_id, {_metric_of(name): value for name, value in results.items()})

    def _log(self, run_id: str, named: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        # The start as their time: where they are logged again as a model's, the run keeps one point of each.
        time_ms = self.client.get_run(run_id).info.start_time
        metrics = [Metric(name, value, time_ms, 0) for name, value in named.items() if isfinite(value)]
        self.client.log_batch(run_id, metrics=metrics)

    def end(self, status: str) -> None:
        """The parent last: where this is cut short, the parent is still running, and ended the next time."""
        for stage, run_id in self.stages.items():
            if stage not in self._ended:
                self.client.set_terminated(run_id, status)
        self.client.set_terminated(self.run_id, status)


def connect(config: MLflowConfig, work_uri: str) -> Tracking:
    """Find or create the experiment, and its database. Raises Refusal, within seconds, if MLflow does not answer."""
    return Tracking(*server.reach(config, work_uri))


def find(config: MLflowConfig, work_uri: str) -> Tracking | None:
    """For those who only read: None where nothing has been recorded yet, and nothing is made. Raises as `connect`."""
    found = server.find(config, work_uri)
    return None if found is None else Tracking(found[0], found[1] or "")


def require(config: MLflowConfig, work_uri: str) -> Tracking:
    """For those who read what must be there. Raises Refusal, also where nothing has been recorded yet."""
    tracking = find(config, work_uri)
    if tracking is None:
        uri = redacted(server.resolve_uri(config, work_uri))
        raise Refusal(
            found=f"no runs and no models: there is no database {uri}",
            expected="MLflow with what `nightjar train` or a night has recorded",
            where=WHERE,
            remedy="correct the path, if they lie elsewhere; else train first",
        )
    return tracking


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value of each leaf; stages go by their name. The fields are left to features.json."""
    for key, value in tree.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {element["name"]: element for element in value}
        if isinstance(value, dict) and value:
            if key != "features":
                yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _metric_of(result: str) -> str:
    """What a stage's final figure goes by in MLflow, where the part before the / is its section."""
    if result.startswith(VALIDATION):
        return f"validation/final_{result.removeprefix(VALIDATION)}"
    return f"{'total' if result in TOTALS else 'test'}/{result}"


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())
