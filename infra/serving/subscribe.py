"""Has MLflow tell an address whenever an alias of a registered model moves.

    WEBHOOK_SECRET=... MLFLOW_TRACKING_URI=https://mlflow.example.com \\
        python subscribe.py https://serving.example.com/champion-moved
"""

import os
import sys

from mlflow import MlflowClient

EVENTS = ["model_version_alias.created"]  # which setting one that there is counts as, too

if __name__ == "__main__":
    webhook = MlflowClient().create_webhook("champion-moved", sys.argv[1], EVENTS, secret=os.environ["WEBHOOK_SECRET"])
    print(f"{webhook.url} is told of {', '.join(EVENTS)}, by webhook {webhook.webhook_id}")
