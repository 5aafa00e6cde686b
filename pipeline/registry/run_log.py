"""Where the points of a stage's curves go: to MLflow, whose troubles must not stop training."""

import logging
import time
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from pipeline.registry import server
from pipeline.registry.figures import in_order
from pipeline.registry.opening import Opening
from pipeline.registry.tags import PARENT, has, quoted
from pipeline.runtime.progress import Point

if TYPE_CHECKING:
    from pipeline.registry.client import Client

MAX_METRICS = 1000  # of a call, by MLflow's API
RETRY_SECONDS = 60.0

logger = logging.getLogger(__name__)


class RunLog:
    """Where the points of a run's curves are reported: small, survives pickling, keeps MLflow's troubles from training.

    What is not finite is left out. What cannot be sent is kept and sent along with a later point, tried once a minute;
    what is still unsent when the process ends is lost.
    """

    def __init__(self, uri: str, run_ids: Mapping[str, str], openings: Mapping[str, Opening] | None = None) -> None:
        """`openings` are of the runs that are opened as soon as there is something to log."""
        self.uri = uri
        self._run_ids = dict(run_ids)
        self._openings = dict(openings or {})
        self._began_ms: dict[str, int] = {}
        self._unsent: dict[str, list[tuple[str, float, int, int]]] = {}
        self._started: set[str] = set()
        self._quiet_until = 0.0
        self._has_warned = False

    def __call__(self, point: Point) -> None:
        if point.began:
            self._began_ms.setdefault(point.stage, round(point.began * 1000))
        self.add(point.stage, point.metrics, point.step)

    def add(self, name: str, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics of the run that goes by that name."""
        now_ms = int(time.time() * 1000)
        finite = [(metric, float(value), now_ms, step) for metric, value in in_order(metrics) if isfinite(value)]
        self._began_ms.setdefault(name, now_ms)
        self._unsent.setdefault(name, []).extend(finite)
        if time.monotonic() < self._quiet_until:
            return
        try:
            with server.impatience():
                self._send()
        except Exception as error:
            self._quiet_until = time.monotonic() + RETRY_SECONDS
            if not self._has_warned:
                self._has_warned = True
                reason = server.first_line(error)
                logger.warning(
                    "MLflow does not take the curves; they are kept until it does, and training goes on: %s", reason
                )

    def begin(self, name: str) -> None:
        """The run that goes by that name is opened later, as one that begins now."""
        self._began_ms.setdefault(name, int(time.time() * 1000))

    def run_of(self, name: str) -> str:
        """The id of its run, which is opened where it is not yet. Raises what MLflow does."""
        if name not in self._run_ids:
            self._run_ids[name] = self._open(server.open_client(self.uri), name)
        return self._run_ids[name]

    def _send(self) -> None:
        from mlflow.entities import Metric

        client = server.open_client(self.uri)
        for name, points in self._unsent.items():
            run_id = self.run_of(name)
            if run_id not in self._started:
                client.update_run(run_id, status="RUNNING")
                self._started.add(run_id)
            while points:
                client.log_batch(run_id, metrics=[Metric(*point) for point in points[:MAX_METRICS]])
                del points[:MAX_METRICS]

    def _open(self, client: "Client", name: str) -> str:
        """Its run, as one that began when it did; what an earlier driver has opened goes on."""
        opening = self._openings[name]
        same = f"{has(PARENT, opening.tags[PARENT])} and attributes.run_name = {quoted(opening.name)}"
        found = client.search_runs([opening.experiment_id], same, max_results=1)
        return str(found[0].info.run_id) if found else opening.open(client, self._began_ms.get(name))
