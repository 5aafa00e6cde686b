"""`nightjar train`: one retrain, from the log to a registered model."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import ProgressView, fits, result_console
from jobs.event_lines import Form
from jobs.options import AsJson, ConfigPath, Log, Overrides
from jobs.places import SUBMITTED, as_typed, is_a_job, load_config, page_of, program, typed
from jobs.tables import of_objective, print_table, rows_and_passes
from schemas.config import TrainConfig
from schemas.errors import Failure
from schemas.redaction import HIDDEN, redacted
from schemas.register import Register

if TYPE_CHECKING:
    from pipeline.retrain.summary import Summary

# Of a stage's results: heading, form.
COLUMNS = {
    "rows_per_second": ("rows/s", ",.0f"),
    "auc": ("AUC", ".4f"),
    "accuracy": ("accuracy", ".4f"),
    "macro_f1": ("macro F1", ".4f"),
    "rmse": ("RMSE", ".5g"),
    "mae": ("MAE", ".5g"),
    "log_loss": ("log loss", ".4f"),
    "ne": ("NE", ".4f"),
    "calibration": ("calibration", ".3f"),
}
BEST_POSSIBLE = "best possible"
WITH_BOUNDS = ("auc", "accuracy", "rmse", "ne", "calibration")  # the interval of log loss is that of NE, in other units


def train(
    config: ConfigPath,
    register: Annotated[
        Register, typer.Option("--register", help="Stages to register: the best one, all, or none.")
    ] = Register.BEST,
    set_: Overrides = None,
    as_json: AsJson = False,
    log: Log = Form.TEXT,
) -> None:
    """Train every stage of the plan, evaluate on the held-out rows, register the best model.

    It becomes `champion` if its normalized entropy (NE) is below the champion's on the same rows.

    Example: `nightjar train --config jobs/configs/demo.yaml --set stages.fnn.epochs=2`
    """
    loaded = load_config(config, set_)
    from pipeline.retrain.opening import retrain
    from pipeline.runtime.progress import Clock

    with ProgressView(log) as show:
        summary = retrain(loaded, Clock.of_process(show), register)
    print_summary(summary, result_console(stderr=as_json))
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        print_next(summary, config, set_ or [], loaded)
    if summary.failures:
        raise Failure(f"training stopped: {'; '.join(summary.failures.values())}; the other stages went on")


def print_summary(summary: "Summary", console: Console) -> None:
    from pipeline.evaluation.intervals import few_clicks, in_words

    table = table_of(summary, with_intervals=True)
    told = []
    if not fits(console, table):
        table = table_of(summary, with_intervals=False)
        bounds = [(stage, figures, summary.intervals.get(stage)) for stage, figures in summary.stages.items()]
        told = [f"{stage}: {in_words(figures, its)}" for stage, figures, its in bounds if its]
    print_table(console, table)
    best = summary.best_stage
    few = few_clicks(summary.stages[best].get("positives"), summary.intervals.get(best, {}))
    for words in (*told, *filter(None, [few]), *summary.left_open, *summary.seen_before, *summary.lifts):
        console.print(words, highlight=False)
    for stage, uri in summary.registered.items():
        console.print(f"{uri} is {stage}", highlight=False)
    if summary.model_uri:
        best = f"{summary.model_uri} ({best}) is {summary.alias}"
    console.print(f"{best}: {summary.verdict}", highlight=False)
    if summary.differs:
        words = f"trained before under other settings, which change no result: {', '.join(summary.differs)}"
        console.print(f"{words}; a finished retrain is not repeated for them", highlight=False)


def table_of(summary: "Summary", *, with_intervals: bool) -> Table:
    """A row a stage, the best one's bold; then what needs no model, and the best that any can do, where it is known."""
    from pipeline.evaluation.intervals import with_bounds

    days = summary.held_out_days
    held_out = days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
    table = Table(title=f"Held-out rows of {held_out}", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("model")
    validated = {"validation_ne": ("validation NE", ".4f")}
    is_validated = any("validation_ne" in results for results in summary.stages.values())
    told = of_objective(COLUMNS, summary.stages.values())
    columns = {key: COLUMNS[key] for key in told} | (validated if is_validated else {})
    for heading in ("rows trained", *(heading for heading, _ in columns.values())):
        table.add_column(heading, justify="right")
    best_possible = {} if summary.best_possible_ne is None else {BEST_POSSIBLE: {"ne": summary.best_possible_ne}}
    for name, results in (summary.stages | summary.baselines | best_possible).items():
        bounds = summary.intervals.get(name, {}) if with_intervals else {}
        missing = "undefined" if name in summary.stages else ""
        cells = [
            with_bounds(results[key], bounds.get(key) if key in WITH_BOUNDS else None, form)
            if key in results
            else missing
            for key, (_, form) in columns.items()
        ]
        rows = results.get("training_rows", results.get("rows_seen"))
        trained = "" if rows is None else rows_and_passes(int(rows), results.get("passes", 1.0))
        table.add_row(name, trained, *cells, style="bold" if name == summary.best_stage else None)
    return table


def print_next(summary: "Summary", config_path: Path, overrides: Sequence[str], config: TrainConfig) -> None:
    """The next two commands, as they can be typed here, but for the secrets of their overrides.

    Of runs that a server keeps the address of its pages.
    """
    from pipeline.registry import views

    says = "click probabilities" if "positives" in summary.stages[summary.best_stage] else "scores"
    then = f"; then write a day's {says}" if summary.model_uri else ""
    print(f"the retrain's page: {page_of(summary.run_id, config.work_uri)}")
    print(f"\nNext, look at the runs{then}:\n")
    is_served = summary.tracking_uri.startswith("http")
    print(
        f"  {views.page(summary.tracking_uri, '') if is_served else f'{program()} ui --work {typed(config.work_uri)}'}"
    )
    if summary.model_uri:
        model = f"models:/{config.mlflow.registered_model}@{summary.alias}"
        out = f"{config.work_uri}/scores" if is_a_job() else "data/scores"
        options = ["--model", model, "--date", summary.held_out_days[-1], "--out", out]
        print(f"  {as_typed('score', config_path, overrides, *options)}")
    if is_a_job():
        print(
            f"\nwith the config that was submitted in the place of {SUBMITTED}; the runs are in {summary.tracking_uri}"
        )
    elif [redacted(override) for override in overrides] != list(overrides):
        print(f"\nwith your own in the place of {HIDDEN}")
