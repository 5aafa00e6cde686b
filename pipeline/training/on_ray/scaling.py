"""How many ranks a job takes when it begins, after a loss and as nodes come, decided in Ray Train's controller.

Ray's own elastic policy would give the ranks every CPU there is, and leave none to what reads their rows. Nothing here
needs torch, which the controller's process is in no need of.
"""

import time
from collections.abc import Sequence

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.train import FailureConfig, ScalingConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import ENABLE_PREEMPTION_WATCHER_ENV_VAR as WATCHER
from ray.train.v2._internal.execution.callback import RayTrainCallback
from ray.train.v2._internal.execution.failure_handling.default import DefaultFailurePolicy
from ray.train.v2._internal.execution.failure_handling.failure_policy import FailureDecision
from ray.train.v2._internal.execution.scaling_policy import (
    ElasticScalingPolicy,
    NoopDecision,
    ScalingDecision,
)
from ray.train.v2._internal.execution.worker_group import WorkerGroupPollStatus, WorkerGroupState
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import TrainingFailedError

from pipeline.runtime import environment, load
from pipeline.runtime.load import Load
from pipeline.training.on_ray import allocation
from pipeline.training.on_ray.allocation import Need

LOOK_SECONDS = 0.5
SETTLE_SECONDS = 5.0  # for what the ranks before held to be given back, before fewer of them begin
GROW_SECONDS = 15.0  # that ranks are let work before more take their place, at the cost of a new start
SAY_SECONDS, SAY_AGAIN_SECONDS = 30.0, 60.0
FEWER_SECONDS = 60.0
DOUBT = 5.0  # times as long, where it may be something else
ANSWER_SECONDS = 5.0


class NoRoom(RuntimeError):
    """The job waits for room on the cluster that nobody gives it."""


class Scaling(ElasticScalingPolicy):  # type: ignore[misc]  # Ray's modules are untyped
    """Takes the largest of the allowed numbers of ranks that there is room for, a reader's CPU beside them.

    What is waited for is put on the board. Waiting ends: with fewer ranks where they are allowed, else with NoRoom.
    """

    def __init__(
        self, config: ScalingConfig, need: Need, counts: Sequence[int], board: ActorHandle, patience_seconds: float
    ) -> None:
        super().__init__(config)
        self._need, self._counts, self._board = need, sorted(counts), board
        self._patience_seconds = patience_seconds
        self._waiting_since: float | None = None
        self._last_look = self._last_growth = 0.0
        self._next_saying = SAY_SECONDS

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        self._maybe_send_resource_request()
        time.sleep(LOOK_SECONDS if self._waiting_since else 0.0)
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        waited = now - self._waiting_since
        try:
            nodes = load.of_cluster().nodes
        except RayError:  # of a head that is slow for a moment: it is asked again
            return NoopDecision()
        count = allocation.num_ranks(nodes, self._need, self._counts)
        if count == self._counts[-1] or (count and waited >= SETTLE_SECONDS):
            return self._begin(count)
        if waited >= min(SAY_SECONDS, self._patience_seconds):
            self._say_or_give_up("no room for the ranks", waited, f"{allocation.in_words(nodes)}; wanted: {self._need}")
        return NoopDecision()

    def make_decision_for_running_worker_group(
        self, worker_group_state: WorkerGroupState, worker_group_status: WorkerGroupPollStatus
    ) -> ScalingDecision:
        self._maybe_send_resource_request()
        now = time.monotonic()
        if now - self._last_look < ANSWER_SECONDS:
            return NoopDecision()
        self._last_look = now
        count = worker_group_state.num_workers
        try:
            current = load.of_cluster()
            fewer = self._after_starving(count, current)
        except RayError:
            return NoopDecision()
        if fewer:
            return self._begin(fewer)
        if now - max(self._last_growth, worker_group_state.start_time) >= GROW_SECONDS:
            self._last_growth = now
            more = allocation.num_ranks(current.nodes, self._need, self._counts, count)
            if more > count:
                return self._begin(more)
        return NoopDecision()

    def _after_starving(self, count: int, now: Load) -> int:
        """With how many ranks to go on, fewer than now, because no rows come for want of a CPU; 0: with these."""
        seconds = float(ray.get(self._board.seconds_without_rows.remote(), timeout=ANSWER_SECONDS))
        if not now.waiting or any(node.has({"CPU": self._need.reader_cpus}) for node in now.nodes):
            self._next_saying = SAY_SECONDS
            return 0
        held = sum(node.total.get("CPU", 0.0) - node.free.get("CPU", 0.0) for node in now.nodes)
        # Another job's, or of a reader that is only slow.
        doubt = DOUBT if held - count * self._need.rank["CPU"] >= self._need.reader_cpus else 1.0
        if seconds < doubt * min(SAY_SECONDS, self._patience_seconds / 2):
            return 0
        fewer = [one for one in self._counts if one < count]
        if fewer and seconds >= doubt * min(FEWER_SECONDS, self._patience_seconds / 2):
            return fewer[-1]
        self._say_or_give_up("no CPU to read rows", seconds, allocation.in_words(now.nodes), doubt)
        return 0

    def _say_or_give_up(self, what: str, seconds: float, where: str, doubt: float = 1.0) -> None:
        if seconds >= doubt * self._patience_seconds:
            raise NoRoom(
                f"{what} for {seconds:,.0f} s; {where}. Add a node, lower cluster.num_workers or "
                "cluster.cpus_per_worker, or let it go on with fewer, by cluster.num_workers={min: 1, max: ...}; the "
                "same command goes on from the last checkpoint"
            )
        if seconds >= self._next_saying:
            self._board.say.remote(f"{what} for {seconds:.0f} s", where)
            self._next_saying = seconds + SAY_AGAIN_SECONDS

    def _begin(self, count: int) -> ScalingDecision:
        self._waiting_since, self._next_saying = None, SAY_SECONDS
        self._board.begin.remote(count)
        return self._get_resize_decision(count)


class Failures(DefaultFailurePolicy):  # type: ignore[misc]
    """Ray's own policy, which tells the board of each failure that counts: not of ranks that moved in time."""

    def __init__(self, config: FailureConfig, board: ActorHandle) -> None:
        super().__init__(config)
        self._board = board

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        before = self._worker_group_failures
        decision = super().make_decision(training_failed_error)
        if self._worker_group_failures > before:
            self._board.lose.remote(self._worker_group_failures)
        return decision


class ScaledTrainer(DataParallelTrainer):  # type: ignore[misc]
    """Ray's trainer with these policies in the place of its own, for which Ray has no arguments.

    Of the processes that Ray starts beside the ranks it leaves out those that have nothing to do: to share out
    datasets, where there are none; to see nodes go and to clear up after the controller, where all ends with the
    command.
    """

    scaling: Scaling
    failures: Failures
    is_on_own_cluster: bool
    """Of one node, which ends with the command."""

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        callbacks = super()._create_default_callbacks()
        idle = [] if self.datasets else [DatasetsCallback]
        idle += [PlacementGroupCleanerCallback] if self.is_on_own_cluster else []
        return [one for one in callbacks if not isinstance(one, tuple(idle))]

    def _initialize_and_run_controller(self, **arguments: object) -> object:
        own = {"scaling_policy": self.scaling, "failure_policy": self.failures}
        with environment.changed({WATCHER: "0"} if self.is_on_own_cluster else {}):
            return super()._initialize_and_run_controller(**{**arguments, **own})
