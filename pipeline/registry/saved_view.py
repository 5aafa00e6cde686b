"""The nights side by side: a saved view of MLflow's experiment page, under "Views" in its upper right corner."""

import json
import time

from pipeline.registry.tracking import Retrain

KEY = "nights"  # .../#/experiments/1/runs?viewStateShareKey=nights
TAG = f"mlflow.sharedViewState.{KEY}"
# As the page writes it. What is left out is as the page has it by itself.
STATE = {
    "searchFilter": "tags.`nightjar.date` != ''",  # nights, without the runs of their stages
    "orderByKey": "tags.`nightjar.date`",
    "orderByAsc": False,
    "selectedColumns": [
        "attributes.`Duration`",
        "metrics.`test/ne`",
        "metrics.`progressive/ne`",
        "metrics.`test/auc`",
        "metrics.`test/calibration`",
        "metrics.`data/label_rate`",
        "tags.`nightjar.outcome`",
        "tags.`nightjar.start`",
    ],
}


def offer(run: Retrain) -> None:
    """Save the view with the run's experiment; one that stands there already stays, for it may have been changed."""
    client, experiment_id = run.tracking.client, run.tracking.experiment_id
    if TAG not in client.get_experiment(experiment_id).tags:
        now_ms = int(time.time() * 1000)
        view = {"name": "Nights", "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(STATE)}
        client.set_experiment_tag(experiment_id, TAG, json.dumps(view))
