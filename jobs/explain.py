"""`nightjar explain`: what each column is worth to a model."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import ProgressView, result_console
from jobs.held_out import Dates, HeldOut
from jobs.options import AsJson, ConfigPath, ModelUri, Overrides
from jobs.tables import print_table
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.evaluation.worth import Worth

BAR_WIDTH = 24


def explain(
    config: ConfigPath,
    model: ModelUri,
    dates: Dates = None,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Held-out rows to draw, about; none: explain.rows.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", min=1, help="Shuffles of each field; none: explain.repeats.")
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Tell how much a model's NE rises on held-out rows where a column is shuffled among them, and where it is missing.

    A column that says what another says, too, is worth little by itself. What is told is logged in the model's run.

    Example: `nightjar explain --config jobs/configs/demo.yaml --model models:/ctr@champion`
    """
    asked = HeldOut.find(config, set_, model, dates)
    from pipeline.data.unknown_classes import classes_in_words
    from pipeline.retrain import on_nodes
    from pipeline.runtime import cluster
    from pipeline.scoring import explain as scoring
    from schemas.checking import derived
    from schemas.config import ExplainConfig

    given = {name: value for name, value in (("rows", rows), ("repeats", repeats)) if value is not None}
    how = derived(asked.config.explain or ExplainConfig(), **given)
    with cluster.of_command(asked.config.cluster, [on_nodes.log(asked.manifest)]), ProgressView() as show:
        unknown = asked.unknown_classes()
        worth = scoring.explain(asked.bundle, asked.manifest, asked.config.data, asked.split, how, show)
    print_worth(redacted(model), worth, result_console(stderr=as_json))
    words = [f"learned: {asked.warning}" if asked.warning else "", classes_in_words(unknown)]
    for one in (*filter(None, words), _logged(asked, model, worth)):
        result_console(stderr=True, soft_wrap=True).print(one, highlight=False)
    if as_json:
        print(in_json(model, asked, worth))


def _logged(asked: HeldOut, model: str, worth: "Worth") -> str:
    """Log it in the run of the model; in which, in words."""
    from pipeline.registry import explained
    from pipeline.report.worth import plot_worth

    run_id = explained.run_of(asked.tracking, model)
    if run_id is None:
        return "not logged: a folder has no run in MLflow"
    explained.log(asked.tracking.client, run_id, worth, plot_worth(worth))
    return f"logged in MLflow's run {run_id}"


def in_json(model: str, asked: HeldOut, worth: "Worth") -> str:
    fields = {one.name: {"shuffled": one.rise, "interval": one.bounds, "missing": one.missing} for one in worth.by_rise}
    return json.dumps(
        {
            "model": model,
            "dates": [*map(str, asked.split.test_days)],
            "learned_dates": [*map(str, asked.learned)],
            "rows": worth.rows,
            "ne": worth.ne,
            "fields": fields,
        }
    )


def print_worth(model: str, worth: "Worth", console: Console) -> None:
    """What is worth most first, each with a bar as long as the rise of NE."""
    shuffles = len(worth.fields[0].shuffles)
    console.print(f"{model}: NE {worth.ne:.4f} of {worth.rows:,} held-out rows, and its rise", highlight=False)
    table = Table(box=SIMPLE_HEAD)
    for heading in ("field", "shuffled", f"of {shuffles} shuffles", "missing"):
        table.add_column(heading, justify="left" if heading == "field" else "right")
    table.add_column("", no_wrap=True)
    most = max(one.rise for one in worth.fields)
    for one in worth.by_rise:
        low, high = one.bounds
        interval = f"{low:+.4f} to {high:+.4f}"
        table.add_row(one.name, f"{one.rise:+.4f}", interval, f"{one.missing:+.4f}", _bar(one.rise, most, console))
    print_table(console, table)


def _bar(rise: float, most: float, console: Console) -> str:
    """As text, as cells of our tables are."""
    bar = Bar(size=max(most, 1e-9), begin=0, end=max(0.0, rise), width=BAR_WIDTH)
    return "".join(segment.text for segment in console.render(bar)).rstrip()
