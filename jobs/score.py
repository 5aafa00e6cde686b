"""`nightjar score`: write a day's click probabilities."""

import datetime
from typing import Annotated

import typer

from jobs.options import ConfigPath, ModelUri, Overrides
from schemas.config import TrainConfig
from schemas.loading import absolute, load


def score(
    config: ConfigPath,
    model: ModelUri,
    date: Annotated[datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the log to score.")],
    out: Annotated[str, typer.Option(help="Folder or URI for the scores; must hold none yet.")],
    set_: Overrides = None,
) -> None:
    """Write Parquet of (row key, probability, model) for every row of a day; labels are not needed.

    Example: `nightjar score --config jobs/configs/demo.yaml --model models:/ctr@champion --date 2026-11-08 --out out`
    """
    loaded = load(TrainConfig, config, set_ or [])
    from pipeline import cluster, scoring
    from pipeline.data import logs, split
    from pipeline.registry import tracking, versions

    data = loaded.data
    day = date.date()
    split.require([day], logs.days_of(data.logs_uri, data.features), data.logs_uri)
    recorder = tracking.connect(loaded.mlflow, loaded.work_uri)
    version = versions.pinned(recorder, model)
    bundle = versions.load_bundle(recorder, version)
    manifest = logs.find(data.logs_uri, [day], bundle.spec, labelled=False)
    with cluster.connected(loaded.cluster):
        rows = scoring.score(bundle, version, manifest, absolute(out), data.rows_per_part)
    print(f"{rows:,} rows of {day} scored with {version}, in {out}")
