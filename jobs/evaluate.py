"""`nightjar evaluate`: judge a model on held-out rows."""

import datetime
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from jobs.options import AsJson, ConfigPath, ModelUri, Overrides
from jobs.places import load_config


def evaluate(
    config: ConfigPath,
    model: ModelUri,
    dates: Annotated[
        list[datetime.datetime] | None,
        typer.Option("--dates", formats=["%Y-%m-%d"], help="Days to judge on, once each; none: the config's held-out."),
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Score the held-out rows with a model and compare its probabilities to the labels.

    Under a random split, only held-out rows count, whatever the days.

    Example: `nightjar evaluate --config jobs/configs/demo.yaml --model models:/ctr@champion --dates 2026-11-08`
    """
    loaded = load_config(config, set_)
    from pipeline.data import logs, split
    from pipeline.registry import model_uri
    from pipeline.runtime import cluster
    from pipeline.scoring import held_out

    data = loaded.data
    days = logs.days_of(data.logs_uri, data.features)
    wanted = sorted({when.date() for when in dates or ()})
    split.require(wanted, days, data.logs_uri)
    judged = split.to_judge(wanted, data) if wanted else split.resolve(days, data)
    tracking = model_uri.where_registered(model, loaded.mlflow, loaded.work_uri)
    bundle = model_uri.load_bundle(tracking, model)
    manifest = logs.find(data.logs_uri, judged.test_days, bundle.spec)
    with cluster.connected(loaded.cluster):
        metrics = held_out.evaluate(bundle, manifest, data, judged).metrics()
    on_days = f"{', '.join(map(str, judged.test_days[:4]))}{' ...' * (len(judged.test_days) > 4)}"
    table = Table("metric", "value", title=f"{model} on {on_days}")
    for name, value in metrics.as_dict().items():
        table.add_row(name, f"{value:,.6g}")
    Console(stderr=as_json).print(table)
    if as_json:
        print(json.dumps({"model": model, "dates": list(map(str, judged.test_days)), **metrics.as_dict()}))
