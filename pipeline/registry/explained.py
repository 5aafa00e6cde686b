"""What a model's fields are worth, in MLflow: `explain/<field>` and `explain_missing/<field>`, and drawn."""

import time
from typing import TYPE_CHECKING

from pipeline.evaluation.worth import Worth
from pipeline.registry import metric_names, model_uri
from pipeline.registry.tracking import Tracking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.registry.client import Client

SHUFFLED, MISSING = "explain", "explain_missing"
PLOT = "plots/explain.png"


def run_of(tracking: Tracking, uri: str) -> str | None:
    """The run that has logged the model at that URI; None of a folder, of which MLflow knows nothing."""
    if not uri.startswith(model_uri.REGISTERED):
        return None
    scheme, _, named = model_uri.pinned(tracking, uri).partition(":/")
    name, _, number = named.partition("/")
    if scheme == "runs":
        return name
    client = tracking.client
    found = client.get_model_version(name, number).run_id if number else client.get_logged_model(name).source_run_id
    return found or None


def log(client: "Client", run_id: str, worth: Worth, drawn: "Figure") -> None:
    """Beside what was logged there before, of which MLflow shows the newest."""
    from mlflow.entities import Metric

    names, now_ms = metric_names.of_columns(one.name for one in worth.fields), round(time.time() * 1000)
    told = {SHUFFLED: worth.rises, MISSING: {one.name: one.missing for one in worth.fields}}
    metrics = [
        Metric(f"{section}/{names[field]}", value, now_ms, 0)
        for section, figures in told.items()
        for field, value in figures.items()
    ]
    client.log_batch(run_id, metrics=metrics)
    client.log_figure(run_id, drawn, PLOT)
