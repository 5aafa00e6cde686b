"""Which variables of the submitting shell go with a job. All others are the nodes' own, credentials above all."""

import os
from collections.abc import Mapping

from schemas.config import TrainConfig
from schemas.locations import absolute_tracking

TRACKING = "MLFLOW_TRACKING_URI"
FORWARDED = (
    TRACKING,
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "NIGHTJAR_LOG",
)
STOP_SECONDS = 60
# Ray's job supervisor reads it: what is stopped then has the time to give its lease back and to end its runs in MLflow.
OF_RAY = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}


def forwarded(config: TrainConfig, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those that are set and that the config does not overrule; whether they hold a secret is not asked here."""
    found = {name: environment[name] for name in FORWARDED if environment.get(name)}
    if config.mlflow.tracking_uri is not None:
        found.pop(TRACKING, None)
    if TRACKING in found:
        found[TRACKING] = absolute_tracking(found[TRACKING])
    return found
