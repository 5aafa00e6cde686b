"""`nightjar evaluate`: judge a model on held-out rows."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import fits, result_console
from jobs.held_out import Dates, HeldOut
from jobs.options import AsJson, ConfigPath, ModelUri, Overrides
from jobs.tables import of_objective, print_table
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.data.unknown_classes import UnknownClass
    from pipeline.evaluation.intervals import Bounds
    from pipeline.evaluation.row_sums import Metrics, RowSums

# Metric -> form.
BY_DAY = {"rows": ",", "auc": ".4f", "accuracy": ".4f", "macro_f1": ".4f", "rmse": ".5g", "mae": ".5g"}
BY_DAY |= {"log_loss": ".5f", "ne": ".4f"}
BY_DAY |= {"calibration": ".3f", "gauc": ".4f", "base_rate": ".4g"}
WITH_BOUNDS = ("auc", "accuracy", "rmse", "ne")  # of a day, where there is no room for more
LEARNED = "learned"


class Judged(NamedTuple):
    """What held-out rows come to, and by which intervals they tell it."""

    metrics: "Metrics"
    bounds: "dict[str, Bounds]"

    @classmethod
    def of(cls, sums: "RowSums") -> "Judged":
        from pipeline.evaluation.intervals import intervals

        return cls(sums.metrics(), intervals(sums))


def evaluate(
    config: ConfigPath,
    model: ModelUri,
    dates: Dates = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Score the held-out rows with a model and compare what it says to the labels, day by day and in all.

    Under a random split, only held-out rows count, whatever the days. Days that the model has learned are marked: what
    it makes of them says little of new ones.

    Example: `nightjar evaluate --config jobs/configs/demo.yaml --model models:/ctr@champion --dates 2026-11-30`
    """
    asked = HeldOut.find(config, set_, model, dates)
    from pipeline.data.unknown_classes import classes_in_words
    from pipeline.evaluation.objectives import sums_of
    from pipeline.retrain import on_nodes
    from pipeline.runtime import cluster
    from pipeline.scoring import held_out

    with cluster.of_command(asked.config.cluster, [on_nodes.log(asked.manifest)]):
        unknown = asked.unknown_classes()
        by_day = held_out.evaluate_days(asked.bundle, asked.manifest, asked.config.data, asked.split)
    learned = asked.learned
    total = Judged.of(sum(by_day.values(), sums_of(asked.bundle.spec.objective).zero()))
    judged_days = {day: Judged.of(sums) for day, sums in by_day.items()}
    print_figures(redacted(model), judged_days, total, learned, result_console(stderr=as_json))
    warnings = [f"learned: {asked.warning}" if asked.warning else "", classes_in_words(unknown)]
    for words in filter(None, warnings):
        result_console(stderr=True, soft_wrap=True).print(words, highlight=False)
    if as_json:
        print(in_json(model, judged_days, total, learned, unknown))


def in_json(
    model: str,
    by_day: "Mapping[datetime.date, Judged]",
    total: "Judged",
    learned: "Sequence[datetime.date]",
    unknown: "Sequence[UnknownClass]" = (),
) -> str:
    return json.dumps(
        {
            "model": model,
            "dates": sorted(map(str, by_day)),
            "learned_dates": list(map(str, learned)),
            "by_date": {str(day): one.metrics.as_dict() | {"intervals": one.bounds} for day, one in by_day.items()},
            **total.metrics.as_dict(),
            "intervals": total.bounds,
            **({"unknown_classes": [one.to_json() for one in unknown]} if unknown else {}),
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
    columns = of_objective(BY_DAY, [one.metrics.as_dict() for one in by_day.values()])
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("")
    for day, one in by_day.items():
        figures, bounds = one.metrics.as_dict(), {name: one.bounds.get(name) for name in with_intervals}
        cells = [
            with_bounds(figures[name], bounds.get(name), BY_DAY[name]) if name in figures else "undefined"
            for name in columns
        ]
        table.add_row(str(day), *cells, LEARNED if day in learned else "")
    return table
