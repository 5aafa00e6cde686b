"""`nightjar evaluate`: judge a model on held-out rows."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import fits, result_console
from jobs.options import AsJson, ConfigPath, ModelUri, Overrides
from jobs.places import load_config
from jobs.tables import print_table
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.data.split import ResolvedSplit
    from pipeline.evaluation.intervals import Bounds
    from pipeline.evaluation.metrics import Sums
    from pipeline.evaluation.row_sums import Metrics

# Metric -> form.
BY_DAY = {"rows": ",", "auc": ".4f", "log_loss": ".5f", "ne": ".4f"}
BY_DAY |= {"calibration": ".3f", "gauc": ".4f", "base_rate": ".4g"}
WITH_BOUNDS = ("auc", "ne")  # of a day, where there is no room for more
LEARNED = "learned"


class Judged(NamedTuple):
    """What held-out rows come to, and by which intervals they tell it."""

    metrics: "Metrics"
    bounds: "dict[str, Bounds]"

    @classmethod
    def of(cls, sums: "Sums") -> "Judged":
        from pipeline.evaluation.intervals import intervals

        return cls(sums.metrics(), intervals(sums))


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
    """Score the held-out rows with a model and compare its probabilities to the labels, day by day and in all.

    Under a random split, only held-out rows count, whatever the days. Days that the model has learned are marked: what
    it makes of them says little of new ones.

    Example: `nightjar evaluate --config jobs/configs/demo.yaml --model models:/ctr@champion --dates 2026-11-30`
    """
    loaded = load_config(config, set_)
    from pipeline.data import logs, split
    from pipeline.evaluation.metrics import Sums
    from pipeline.registry import model_uri
    from pipeline.retrain import on_nodes
    from pipeline.runtime import cluster
    from pipeline.scoring import held_out

    data = loaded.data
    days = logs.days_of(data.logs_uri, data.features)
    wanted = sorted({when.date() for when in dates or ()})
    split.require(wanted, days, data.logs_uri)
    judged = split.to_judge(wanted, data) if wanted else split.resolve(days, data)
    tracking = model_uri.where_registered(model, loaded.mlflow, loaded.work_uri)
    bundle = model_uri.load_bundle(tracking, model)
    own = data.features  # which may have learned of columns that an older model does not know
    known, on_unknown = {*own.columns, *own.ignored}, data.unknown_columns
    manifest = logs.find(data.logs_uri, judged.test_days, bundle.spec, unknown_columns=on_unknown, known=known)
    with cluster.of_command(loaded.cluster, [on_nodes.log(manifest)]):
        by_day = held_out.evaluate_days(bundle, manifest, data, judged)
    learned = held_out.learned_days(bundle, judged)
    total = Judged.of(sum(by_day.values(), Sums.zero()))
    judged_days = {day: Judged.of(sums) for day, sums in by_day.items()}
    print_figures(redacted(model), judged_days, total, learned, result_console(stderr=as_json))
    if learned:
        result_console(stderr=True, soft_wrap=True).print(f"learned: {warning(learned, judged)}", highlight=False)
    if as_json:
        print(in_json(model, judged_days, total, learned))


def in_json(
    model: str, by_day: "Mapping[datetime.date, Judged]", total: "Judged", learned: "Sequence[datetime.date]"
) -> str:
    return json.dumps(
        {
            "model": model,
            "dates": sorted(map(str, by_day)),
            "learned_dates": list(map(str, learned)),
            "by_date": {str(day): one.metrics.as_dict() | {"intervals": one.bounds} for day, one in by_day.items()},
            **total.metrics.as_dict(),
            "intervals": total.bounds,
        }
    )


def print_figures(
    model: str,
    by_day: "Mapping[datetime.date, Judged]",
    total: "Judged",
    learned: "Sequence[datetime.date]",
    console: Console,
) -> None:
    """Each day by itself, those that the model has learned marked, and all days together."""
    from pipeline.evaluation.intervals import few_clicks, in_words, with_bounds

    table = table_of(model, by_day, learned, WITH_BOUNDS)
    fitting = fits(console, table)
    print_table(console, table if fitting else table_of(model, by_day, learned))
    for day, one in () if fitting or len(by_day) == 1 else by_day.items():
        console.print(f"{day}: {in_words(one.metrics.as_dict(), one.bounds)}", highlight=False)
    days = sorted(by_day)
    on_days = f"{', '.join(map(str, days[:4]))}{' ...' * (len(days) > 4)}"
    console.print(f"{model} on {on_days}{', learned ones included' * bool(learned)}", highlight=False)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in total.metrics.as_dict().items():
        bounds = total.bounds.get(name)
        table.add_row(name, with_bounds(value, bounds, ".4f") if bounds else f"{value:,.6g}")
    print_table(console, table)
    few = few_clicks(total.metrics.positives, total.bounds)
    if few:
        console.print(few, highlight=False)


def table_of(
    model: str,
    by_day: "Mapping[datetime.date, Judged]",
    learned: "Sequence[datetime.date]",
    with_intervals: Sequence[str] = (),
) -> Table:
    from pipeline.evaluation.intervals import with_bounds

    table = Table(title=f"{model}, held-out rows by day", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("day")
    for name in BY_DAY:
        table.add_column(name, justify="right")
    table.add_column("")
    for day, one in by_day.items():
        figures, bounds = one.metrics.as_dict(), {name: one.bounds.get(name) for name in with_intervals}
        cells = [
            with_bounds(figures[name], bounds.get(name), form) if name in figures else "undefined"
            for name, form in BY_DAY.items()
        ]
        table.add_row(str(day), *cells, LEARNED if day in learned else "")
    return table


def warning(learned: "Sequence[datetime.date]", judged: "ResolvedSplit") -> str:
    """What the figures of learned days are worth."""
    days = ", ".join(map(str, learned))
    if judged.by_key:
        return (
            f"{days}: the model has learned rows of these days and was not trained under this random split, so that "
            "some of the rows it is judged by may be among them: the figures look better than those of new rows would"
        )
    return f"{days}: the model was trained on these days: their figures look better than those of new days would"
