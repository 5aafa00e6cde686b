"""The nights side by side: a saved view of MLflow's experiment page, under "Views" in its upper right corner."""

import json
import time

from pipeline.registry.tags import DATE, OUTCOME, SHARED_VIEW, START
from pipeline.registry.tracking import Retrain

KEY = "nights"  # .../#/experiments/1/runs?viewStateShareKey=nights
TAG = f"{SHARED_VIEW}{KEY}"
# As the page writes it. What is left out is as the page has it by itself.
STATE = {
    "searchFilter": f"tags.`{DATE}` != ''",  # nights, without the runs of their stages
    "orderByKey": f"tags.`{DATE}`",
    "orderByAsc": False,
    "selectedColumns": [
        "attributes.`Duration`",
        "metrics.`test/ne`",
        "metrics.`progressive/ne`",
        "metrics.`test/auc`",
        "metrics.`test/calibration`",
        "metrics.`data/label_rate`",
        f"tags.`{OUTCOME}`",
        f"tags.`{START}`",
    ],
}


def offer(run: Retrain) -> None:
    """Save the view with the run's experiment; one that stands there already stays, for it may have been changed."""
    client, experiment_id = run.tracking.client, run.tracking.experiment_id
    if TAG not in client.get_experiment(experiment_id).tags:
        now_ms = int(time.time() * 1000)
        view = {"name": "Nights", "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(STATE)}
        client.set_experiment_tag(experiment_id, TAG, json.dumps(view))
