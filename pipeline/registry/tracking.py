"""Where retrains are recorded: MLflow, spoken to by explicit run ids, never by its fluent API, and the runs in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.registry import server, views
from pipeline.registry.database import WHERE
from pipeline.registry.ending import ending
from pipeline.registry.opening import Kind, Opening, origin
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import IDENTITY, NOTE, PARENT, STAGE, TIMEZONE, has
from schemas.config import MLflowConfig, TrainConfig
from schemas.defaults import tree_of
from schemas.errors import Refusal
from schemas.redaction import redacted

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.registry.client import Client


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

    def find_finished(self, identity: str) -> Retrain | None:
        """The newest finished retrain of that identity."""
        for parent in self._search(f"{has(IDENTITY, identity)} and attributes.status = 'FINISHED'"):
            return Retrain(self, parent.info.run_id, parent.info.run_name, self.stages_of(parent.info.run_id))
        return None

    @contextmanager
    def retrain(
        self, identity: str, name: str, config: TrainConfig, manifest_json: str, kind: Kind = "retrain"
    ) -> Iterator[Retrain]:
        """Open the run of a retrain, to be ended with those of its stages: as FINISHED, as FAILED after an exception,
        as KILLED after Ctrl-C or SIGTERM.

        Why it failed becomes the description of its run. What an earlier attempt of the same identity has left goes on
        under the runs that it had.
        """
        views.offer(self, config.data.features.objective)
        retrain = self._take_up(identity, name)
        if retrain is None:
            tags = {IDENTITY: identity, TIMEZONE: config.data.timezone}
            opening = self.opening(kind, name, tags, tree_of(config))
            retrain = Retrain(self, opening.open(self.client), name)
        with ending(retrain):
            retrain.begin(config, manifest_json)
            yield retrain

    def _take_up(self, identity: str, name: str) -> Retrain | None:
        """The newest attempt of that identity, running again; one that finished was killed before it could say so."""
        for parent in self._search(has(IDENTITY, identity)):
            retrain = Retrain(self, parent.info.run_id, name, self.stages_of(parent.info.run_id))
            self.client.update_run(retrain.run_id, status="RUNNING", name=name)
            if NOTE in parent.data.tags:
                self.client.delete_tag(retrain.run_id, NOTE)
            return retrain
        return None

    def stages_of(self, run_id: str) -> dict[str, str]:
        """Stage -> the run that records it, of those that have begun."""
        children = self._search(has(PARENT, run_id))
        return {child.data.tags[STAGE]: child.info.run_id for child in children}

    def end_stale(self, identity: str) -> None:
        """End as KILLED what a killed driver has left running under the identity, children first."""
        for stale in self._search(f"{has(IDENTITY, identity)} and attributes.status = 'RUNNING'"):
            children = self._search(has(PARENT, stale.info.run_id))
            for run in [*(child for child in children if child.info.status in ("RUNNING", "SCHEDULED")), stale]:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def opening(self, kind: Kind, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> Opening:
        """Of a run of that name, with a tree of parameters."""
        return Opening(self.experiment_id, name, {**origin(kind), **tags}, params)

    def _search(self, filter_string: str) -> "list[Run]":
        return list(
            self.client.search_runs([self.experiment_id], filter_string, order_by=["attributes.start_time DESC"])
        )


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
