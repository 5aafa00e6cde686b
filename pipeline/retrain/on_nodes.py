"""What every node of the cluster has to find before a verb gives it work: the log, the places of results, MLflow."""

from pipeline.data.logs import Manifest
from pipeline.registry.reachable import Reachable
from pipeline.registry.tracking import Tracking
from pipeline.runtime.check import Check
from pipeline.runtime.storage import SameFile, SharedFolder
from schemas.config import TrainConfig
from schemas.locations import absolute


def log(manifest: Manifest) -> Check:
    """For those who only read: the first of its files stands for all."""
    return SameFile("data.logs_uri", absolute(manifest.files[0].uri))


def folder(config: TrainConfig) -> Check:
    """For those whose nodes write: parts, checkpoints, rows in quarantine."""
    return SharedFolder("work_uri", config.work_uri)


def all_of(config: TrainConfig, manifest: Manifest, tracking: Tracking) -> list[Check]:
    """For a training, whose driver records in MLflow wherever it is started."""
    return [folder(config), log(manifest), Reachable(config.mlflow, tracking.uri)]
