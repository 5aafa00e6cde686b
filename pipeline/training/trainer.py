"""Start the one Ray Train job of a run, after making sure that the cluster can hold it."""

import ray
from ray.data import ExecutionOptions
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from pipeline.data import feed
from pipeline.training import worker
from pipeline.training.worker import Job
from schemas.config import ClusterConfig
from schemas.refusal import Refusal

READER_CPUS = 1.0  # Ray Data needs a CPU of its own to read while the workers hold theirs, else it waits for ever


def fit(job: Job, run_name: str, storage_uri: str) -> None:
    """Train all stages. The same name in the same storage resumes what was interrupted."""
    config = job.config
    trainer = TorchTrainer(
        worker.run,
        train_loop_config={"job": job},
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
        datasets={"train": feed.dataset(job.store, "train")},
        # Ordered, so that a resumed run is fed what an uninterrupted one would have been.
        dataset_config=DataConfig(execution_options=ExecutionOptions(preserve_order=True)),
    )
    trainer.fit()


def check_placement(cluster: ClusterConfig) -> None:
    """Refuse what the cluster could never place, before anything is read. An autoscaling cluster counts as it is now."""
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


def _worker_resources(cluster: ClusterConfig) -> dict[str, float]:
    return {"CPU": cluster.cpus_per_worker, **({"GPU": 1.0} if cluster.use_gpu else {})}
