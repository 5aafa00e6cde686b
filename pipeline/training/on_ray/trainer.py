"""Start the one Ray Train job of a run, after making sure that the cluster can hold it."""

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import ray
import ray.data
import ray.train
from ray.actor import ActorHandle
from ray.autoscaler.sdk import request_resources
from ray.exceptions import RayError
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.backend import BackendConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.data import feed
from pipeline.runtime import cluster, load, raised
from pipeline.runtime.load import NodeLoad
from pipeline.runtime.memory import total_bytes
from pipeline.runtime.progress import Event, Report, Show
from pipeline.training import affordable, memory
from pipeline.training.job import TrainingJob
from pipeline.training.memory import MemoryNeed, NodeMemory
from pipeline.training.on_ray import allocation, snapshot, worker
from pipeline.training.on_ray.allocation import Need
from pipeline.training.on_ray.progress import Posting, Say, open_board, watched
from pipeline.training.on_ray.scaling import Failures, NoRoom, ScaledTrainer, Scaling
from schemas.config import ClusterConfig
from schemas.days import Span
from schemas.errors import INTERRUPTED, Failure
from schemas.stage import StageConfig

# Ray Train's controller takes one report of each rank a poll, and a rank waits with its next one for that: at Ray's own
# interval of 2 s four short stages would wait for eight.
POLL_SECONDS = ("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
SETTLE_SECONDS = 5.0
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 30.0  # of nodes that are asked for their memory


def fit(job: TrainingJob, report: Report, say: Say) -> dict[str, str]:
    """Train all stages by the ranks of one job, as `fitting.fit`.

    Ray Train keeps its own records in the run's folder too, and resumes from them what was interrupted.
    """
    os.environ.setdefault(*POLL_SECONDS)
    snapshot.drop_damaged(job.run_uri)
    board = open_board(job.config.checkpoint.max_failures)
    try:
        with watched(board, report, say):
            failures: dict[str, str] | None = None
            while failures is None:  # the ranks have moved, from nodes that go
                failures = _trainer(job, board).fit().return_value
    except SystemExit as stopped:
        # Ray Train answers Ctrl-C with an orderly stop of its own and then leaves by 0 or 1.
        sys.exit(INTERRUPTED if stopped.code in (0, 1) else stopped.code)
    except ray.train.TrainingFailedError as error:
        raise Failure(f"training failed: {_reason(error)}") from error
    return failures


def _trainer(job: TrainingJob, board: ActorHandle) -> ScaledTrainer:
    config, need = job.config, Need.of(job.config.cluster)
    storage_uri, _, run_name = job.run_uri.rpartition("/")
    scaling_config = ScalingConfig(
        num_workers=need.most,
        use_gpu=config.cluster.use_gpu,
        resources_per_worker=dict(need.rank),
    )
    failure_config = FailureConfig(
        # The loss of a node that was to go is no failure: there may be as many as there are.
        max_failures=config.checkpoint.max_failures,
        controller_failure_limit=3,
        max_preemption_failures=-1,
    )
    trainer = ScaledTrainer(
        # Bound to what it is told: a config of Ray's is read by the controller, too, which would import all of that.
        partial(worker.run, replace(job, report=Posting(job.report, board)), board),
        backend_config=_backend(config.cluster),
        scaling_config=scaling_config,
        run_config=RunConfig(
            name=run_name,
            storage_path=storage_uri,
            failure_config=failure_config,
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
        datasets={} if job.is_read_by_its_rank else _datasets(job),
        dataset_config=DataConfig(execution_options=feed.execution_options(need.most)),
    )
    patience = config.cluster.starved_seconds
    trainer.scaling = Scaling(scaling_config, need, config.numbers_of_ranks, board, patience)
    trainer.failures = Failures(failure_config, board)
    trainer.is_on_own_cluster = cluster.is_own()
    return trainer


def _backend(config: ClusterConfig) -> BackendConfig:
    """How the ranks talk to each other. A lone one on CPUs has nobody to: no process but its own then imports torch."""
    if config.most_workers == 1 and not config.use_gpu:
        return BackendConfig()
    from ray.train.torch import TorchConfig

    return TorchConfig(backend="nccl" if config.use_gpu else "gloo")


def _datasets(job: TrainingJob) -> dict[str, ray.data.Dataset]:
    stages = job.config.plan
    own = dict.fromkeys((span, stage.negative_share) for stage in stages for span in _spans(stage, job))
    return {
        worker.dataset_name(span, share): feed.dataset(job.store.of_span(span, share), "train") for span, share in own
    }


def _spans(stage: StageConfig, job: TrainingJob) -> list[Span]:
    """Of the days that the stage may come to be trained on; what nobody asks for is not read."""
    if stage.days != "affordable":
        return [job.config.span_of(stage)]
    return [Span(oldest=number) for number in affordable.choices(stage, job.config, job.store)]


def check_room(config: ClusterConfig, show: Show) -> None:
    """Refuse what the cluster has no room for, before anything is read; after `wait_seconds`, if it is to wait.

    Meanwhile an autoscaler is asked for the nodes.
    """
    need, began = Need.of(config), time.monotonic()
    asked = ""
    try:
        while (placed := allocation.pack(nodes := load.of_cluster().nodes, need)).why_not:
            waited = time.monotonic() - began
            # What an earlier job of this command held is free within seconds, if it is that.
            settle = 0.0 if allocation.pack([node.emptied() for node in nodes], need).why_not else SETTLE_SECONDS
            if waited >= max(config.wait_seconds, settle):
                allocation.check(nodes, need)
            if config.wait_seconds and placed.why_not != asked:
                if not asked:
                    request_resources(bundles=need.bundles)
                asked = placed.why_not
                seconds = config.wait_seconds - waited
                show(Event("wait for the cluster", 0, 1, f"{asked}; for {seconds:,.0f} s at most"))
            time.sleep(LOOK_SECONDS)
    finally:
        if asked:
            request_resources(bundles=[])  # which would stand for as long as the cluster does
    if asked:
        show(Event("wait for the cluster", 1, 1, f"room for {placed.num_ranks} ranks"))


def check_memory(need: MemoryNeed, config: ClusterConfig) -> None:
    """Refuse a table that no allocation of the ranks has memory for."""
    ray_nodes = [node for node in ray.nodes() if node["Alive"]]
    # What Ray gives out is what was free when it started, which costs nothing to look at. Where it falls short, other
    # programs may have held the rest: the nodes are asked what they have in all.
    if memory.num_missing(need, [_node(node, config, _free_bytes(node)) for node in ray_nodes]):
        memory.check(need, [_node(node, config, total) for node, total in _with_total_bytes(ray_nodes)])


def _node(node: dict[str, Any], config: ClusterConfig, total_bytes: int) -> NodeMemory:
    all_of_it = NodeLoad(node["NodeID"], node["NodeManagerAddress"], node["Resources"], node["Resources"])
    return NodeMemory(all_of_it.address, total_bytes, allocation.num_places(all_of_it, Need.of(config)))


def _free_bytes(node: dict[str, Any]) -> int:
    return int(sum(node["Resources"].get(name, 0.0) for name in ("memory", "object_store_memory")))


def _with_total_bytes(nodes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Of a node that does not answer it is what Ray gives out there."""
    ask = ray.remote(num_cpus=0)(total_bytes)
    on_node = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [ask.options(scheduling_strategy=node).remote() for node in on_node]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=ANSWER_SECONDS)
    found = []
    for node, answer in zip(nodes, asked, strict=True):
        total = _free_bytes(node)
        with suppress(RayError):
            total = int(ray.get(answer)) if answer in answered else total
        found.append((node, total))
    return found


def _reason(error: Exception) -> str:
    """The first rank's failure in one line: what Ray adds are tracebacks of its own processes."""
    failures = getattr(error, "worker_failures", {})
    if not failures:
        cause = getattr(error, "controller_failure", error)
        return str(cause if isinstance(cause, NoRoom) else error)
    rank, failure = min(failures.items())
    return f"rank {rank}: {raised.in_a_line(failure)}"
