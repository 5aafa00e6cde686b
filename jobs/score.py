"""`nightjar score`: write what a model says of days of the log."""

import datetime
from collections.abc import Sequence
from typing import Annotated

import typer

from jobs.options import ConfigPath, ModelUri, Overrides
from jobs.places import load_config
from pipeline.runtime import writable
from schemas.errors import Refusal
from schemas.locations import absolute

YYYY_MM_DD = ["%Y-%m-%d"]
Day = datetime.datetime  # as Typer reads one


def score(
    config: ConfigPath,
    model: ModelUri,
    out: Annotated[str, typer.Option(help="Folder or URI for the scores, which get a folder a day.")],
    dates: Annotated[
        list[Day] | None, typer.Option("--date", formats=YYYY_MM_DD, help="Day of the log; may be given several times.")
    ] = None,
    first: Annotated[
        Day | None, typer.Option("--from", formats=YYYY_MM_DD, help="All days of the log from it on.")
    ] = None,
    last: Annotated[Day | None, typer.Option("--to", formats=YYYY_MM_DD, help="All days of the log up to it.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace days that hold other scores.")] = False,
    set_: Overrides = None,
) -> None:
    """Write Parquet of (row key, probability, model) for every row of the days; labels are not needed.

    A day that is there already, by the same model and of the same log, stays as it is; interrupted, the same command
    goes on. A day's folder is complete when it holds _SUCCESS.

    Example: `nightjar score --config jobs/configs/demo.yaml --model models:/ctr@champion --date 2026-11-30 --out out`
    """
    loaded = load_config(config, set_)
    writable.require(absolute(out), "--out")
    from pipeline.data import logs
    from pipeline.registry import model_uri
    from pipeline.retrain import on_nodes
    from pipeline.runtime import cluster
    from pipeline.runtime.storage import SharedFolder
    from pipeline.scoring.score import score as write_scores

    data = loaded.data
    days = _chosen(logs.days_of(data), dates or [], first, last, data.logs_uri)
    tracking = model_uri.where_registered(model, loaded.mlflow, loaded.work_uri)
    version = model_uri.pinned(tracking, model)
    bundle = model_uri.load_bundle(tracking, version)
    manifest = logs.find(data, days, bundle.spec, labelled=False)
    needs = [on_nodes.log(manifest), SharedFolder("--out", absolute(out))]
    with cluster.of_command(loaded.cluster, needs):
        rows = write_scores(bundle, version, manifest, absolute(out), data.rows_per_part, overwrite=overwrite)
    print(f"{rows:,} rows of {', '.join(map(str, days))} scored with {version}, in {out}")


def _chosen(
    of_log: Sequence[datetime.date], dates: Sequence[Day], first: Day | None, last: Day | None, logs_uri: str
) -> list[datetime.date]:
    """The named days, which must be there, and those of the log between `first` and `last`."""
    from pipeline.data import split

    named = {date.date() for date in dates}
    split.require(sorted(named), of_log, logs_uri)
    if first or last:
        since, until = (first or Day.min).date(), (last or Day.max).date()
        named |= {day for day in of_log if since <= day <= until}
    if not named:
        raise Refusal(
            found="no day to score",
            expected=f"days between {of_log[0]} and {of_log[-1]} that the log has",
            where="--date, --from, --to",
            remedy="give --date, once or several times, or --from and --to",
        )
    return sorted(named)
