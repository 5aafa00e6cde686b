"""Start the one Ray Train job of a run, after making sure that the cluster can hold it."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ray
import ray.train
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.data import feed
from pipeline.runtime.progress import RATE, Point, Report
from pipeline.training import kept, local, memory
from pipeline.training.memory import Node
from pipeline.training.on_ray import snapshot, worker
from pipeline.training.on_ray.progress import Board, Posting, watched
from pipeline.training.on_ray.worker import Job
from pipeline.training.published import stage_uri
from pipeline.training.rank import Rank
from schemas.config import ClusterConfig, TableConfig
from schemas.errors import INTERRUPTED, Failure, Refusal
from schemas.stage import StageConfig

# Ray Train's controller takes one report of each rank a poll, and a rank waits with its next one for that: at Ray's own
# interval of 2 s four short stages would wait for eight.
POLL_SECONDS = ("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
READER_CPUS = 1.0  # Ray Data needs a CPU of its own to read while the workers hold theirs, else it waits for ever


def fit(job: Job, show: Report) -> dict[str, str]:
    """Train all stages, showing the points of their curves as they go.

    Returns the stages that diverged, or were to start from one that did, and why. Raises Failure if none is left, or
    when a rank fails more often than the config allows. Ray Train keeps its own records in the run's folder too, and
    resumes from them what was interrupted; what diverged would do so again.
    """
    for stage in job.config.plan:
        kept.stage(stage_uri(job.run_uri, stage.name))  # a damaged one is dropped before a rank takes it for finished
    failures = _fit_here(job, show) if job.config.cluster.num_workers == 0 else _fit_by_ray(job, show)
    if len(failures) == len(job.config.plan):
        first = next(iter(failures.values()))
        raise Failure(f"training stopped: {first}; the same command would stop there again")
    return failures


def _fit_here(job: Job, show: Report) -> dict[str, str]:
    memory.keep_freed()
    rank = Rank(job.config, job.store, job.run_uri)

    def report(point: Point) -> None:
        job.report(point)
        if RATE in point.metrics:
            show(point)

    return worker.run_plan(job, lambda stage: local.run_stage(rank, stage, report), {})


def _fit_by_ray(job: Job, show: Report) -> dict[str, str]:
    config = job.config
    storage_uri, _, run_name = job.run_uri.rpartition("/")
    os.environ.setdefault(*POLL_SECONDS)
    snapshot.drop_damaged(job.run_uri)
    board = ray.remote(num_cpus=0)(Board).remote()
    trainer = TorchTrainer(
        worker.run,
        train_loop_config={"job": replace(job, report=Posting(job.report, board))},
        torch_config=TorchConfig(backend="nccl" if config.cluster.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=config.cluster.num_workers,
            use_gpu=config.cluster.use_gpu,
            resources_per_worker=_worker_resources(config.cluster),
        ),
        run_config=RunConfig(
            name=run_name,
            storage_path=storage_uri,
            failure_config=FailureConfig(max_failures=config.checkpoint.max_failures, controller_failure_limit=3),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
        datasets={
            worker.dataset_name(stage): feed.dataset(job.store.of_last_days(stage.last_days), "train")
            for stage in config.plan
        },
        dataset_config=DataConfig(execution_options=feed.execution_options(config.cluster.num_workers)),
    )
    try:
        with watched(board, show):
            failures: dict[str, str] = trainer.fit().return_value
    except SystemExit as stopped:
        # Ray Train answers Ctrl-C with an orderly stop of its own and then leaves by 0 or 1.
        sys.exit(INTERRUPTED if stopped.code in (0, 1) else stopped.code)
    except ray.train.TrainingFailedError as error:
        raise Failure(f"training failed: {_reason(error)}") from error
    return failures


def check_placement(cluster: ClusterConfig) -> None:
    """Refuse what the cluster could never place, before anything is read; an autoscaling one counts as it is now."""
    have = ray.cluster_resources()
    workers = {name: cluster.num_workers * amount for name, amount in _worker_resources(cluster).items()}
    need = {**workers, "CPU": workers["CPU"] + READER_CPUS}
    missing = {name: amount - have.get(name, 0.0) for name, amount in need.items() if amount > have.get(name, 0.0)}
    if missing:
        short = " and ".join(f"{amount:g} {name}{'s' if amount != 1 else ''}" for name, amount in missing.items())
        raise Refusal(
            found=f"a cluster of {have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs; {short} missing",
            expected=f"{cluster.num_workers} x {cluster.cpus_per_worker:g} CPUs for the workers"
            + (f", {cluster.num_workers} GPUs" if cluster.use_gpu else "")
            + f", and {READER_CPUS:g} CPU to read data",
            where="cluster.num_workers, cluster.cpus_per_worker, cluster.use_gpu",
            remedy="lower them, or add nodes to the Ray cluster",
        )


def check_memory(table: TableConfig, cluster: ClusterConfig, stages: Sequence[StageConfig], num_ids: int) -> None:
    """Refuse a table that no placement of the ranks has memory for while they train these stages."""
    need = memory.need(
        num_ids,
        table.dimension,
        cluster.num_ranks,
        is_sharded=table.placement == "row_sharded",
        has_moments=any(stage.embedding.name == "adam" for stage in stages),
    )
    ray_nodes = [node for node in ray.nodes() if node["Alive"]]
    # What Ray gives out is what was free when it started, which costs nothing to look at. Where it falls short, other
    # programs may have held the rest: the nodes are asked what they have in all.
    if memory.num_missing(need, [_node(node, cluster, _free_bytes(node)) for node in ray_nodes]):
        memory.check(need, [_node(node, cluster, total) for node, total in _with_total_bytes(ray_nodes)])


def _node(node: dict[str, Any], cluster: ClusterConfig, total_bytes: int) -> Node:
    have, need = node["Resources"], _worker_resources(cluster)
    places = min(have.get(name, 0.0) // amount for name, amount in need.items())
    return Node(node["NodeManagerAddress"], total_bytes, int(places))


def _free_bytes(node: dict[str, Any]) -> int:
    return int(sum(node["Resources"].get(name, 0.0) for name in ("memory", "object_store_memory")))


def _with_total_bytes(nodes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    ask = ray.remote(num_cpus=0)(memory.total_bytes)
    on_node = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    return list(zip(nodes, ray.get([ask.options(scheduling_strategy=node).remote() for node in on_node]), strict=True))


def _worker_resources(cluster: ClusterConfig) -> dict[str, float]:
    return {"CPU": cluster.cpus_per_worker, **({"GPU": 1.0} if cluster.use_gpu else {})}


def _reason(error: Exception) -> str:
    """The first rank's failure in one line: what Ray adds are tracebacks of its own processes."""
    failures = getattr(error, "worker_failures", {})
    if not failures:
        return str(error)
    rank, failure = min(failures.items())
    cause = getattr(failure, "_base_exc", failure)
    return f"rank {rank}: {type(cause).__name__}: {cause}"
