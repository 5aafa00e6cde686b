"""`nightjar sweep`: the best values of a config's keys, found by trials and written as a config."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import ProgressView, result_console
from jobs.event_lines import Form
from jobs.options import AsJson, ConfigPath, Log, Overrides
from jobs.places import load_config, page_of
from jobs.tables import print_table
from pipeline.runtime import files, writable
from schemas import sweep as schema
from schemas.errors import Refusal
from schemas.loading import load
from schemas.locations import absolute
from schemas.sweep import SweepConfig

if TYPE_CHECKING:
    from pipeline.sweep.outcome import Outcome, Summary


def sweep(
    config: ConfigPath,
    sweep_path: Annotated[Path, typer.Option("--sweep", help="YAML file of what to draw; see jobs/configs.")],
    out: Annotated[str, typer.Option("--out", help="File or URI for the best config.")],
    set_: Overrides = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="<int>", help="Judge trials that nothing stops by the mean of so many seeds."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
    log: Log = Form.TEXT,
) -> None:
    """Train a stage with many drawn values of its keys and write the best config, for `nightjar train`.

    Trials run on one CPU each, and are judged by the normalized entropy (NE) of the validation rows, which are neither
    trained on nor held out. Those that fall behind are stopped early (ASHA), by the first seed; with --seeds the
    others are trained with as many, and the best mean wins.

    Example: `nightjar sweep --config jobs/configs/demo.yaml --set data.validation_share=0.05
    --sweep jobs/configs/demo_sweep.yaml --out best.yaml`
    """
    settings = load(SweepConfig, sweep_path, [] if seeds is None else [f"seeds={seeds}"])
    loaded = load_config(config, set_)
    check_out(out, force)
    schema.check(settings, loaded, str(sweep_path))
    trials = schema.draw_trials(settings, config, set_ or [], str(sweep_path))
    from pipeline.sweep.best_config import Given
    from pipeline.sweep.search import sweep as run_sweep

    given = Given.read(config, set_ or [], shlex.join(["nightjar", *sys.argv[1:]]))
    with ProgressView(log) as show:
        summary = run_sweep(settings, loaded, trials, given, show)
    best = given.best(summary.winner.values, summary.came_to, out=Path(absolute(out)).parent)
    files.write_bytes(absolute(out), best.encode())
    print_summary(summary, out, result_console(stderr=as_json))
    page = page_of(summary.run_id, loaded.work_uri)
    print(f"the sweep's page: {page}", file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps({**asdict(summary), "out": out}))


def check_out(out: str, force: bool) -> None:
    """Before anything is trained: an hour later would be late."""
    writable.require(absolute(out), "--out", "file")
    if files.exists(absolute(out)) and not force:
        raise Refusal(
            found="a file that is there already",
            expected="the name of a new file",
            where=f"--out {out}",
            remedy="choose another name, or replace it with --force",
        )


def print_summary(summary: "Summary", out: str, console: Console) -> None:
    from pipeline.sweep.outcome import in_words, ranked

    of_seeds = f", means over {summary.num_seeds} seeds ± their deviation" if summary.num_seeds > 1 else ""
    table = Table(title=f"Validation rows, {summary.stage}{of_seeds}", title_justify="left", box=SIMPLE_HEAD)
    keys = list(summary.outcomes[0].values)
    table.add_column("trial", justify="right")
    for key in keys:
        table.add_column(key.removeprefix(f"stages.{summary.stage}."), justify="right")
    table.add_column("looks", justify="right")
    table.add_column("best NE", justify="right")
    table.add_column(summary.beside_ne, justify="right")
    for outcome in ranked(summary.outcomes):
        values = [_cell(outcome.values[key]) for key in keys]
        looks = f"{len(outcome.looks)} of {outcome.num_looks}" if outcome.num_looks else "none"
        ne, beside = _figures(outcome)
        style = "bold" if outcome.number == summary.best_trial else None
        table.add_row(str(outcome.number), *values, looks, ne, beside, style=style)
    print_table(console, table)
    for outcome in summary.outcomes:
        if outcome.failure:
            console.print(f"trial {outcome.number} failed: {outcome.failure}", highlight=False)
    for key, bound in summary.at_bounds.items():
        words = f"the best {key} lies at the bound {bound:g} of what was drawn: draw beyond it as well"
        console.print(words, highlight=False)
    words = in_words(summary.best, ".4f")
    console.print(f"{out} is trial {summary.best_trial}, of validation NE {words}", highlight=False)


def _figures(outcome: "Outcome") -> tuple[str, str]:
    """NE and what stands beside it; with their deviations over seeds where it was trained with several."""
    judged = outcome.judged
    if judged is None:
        return "failed" if outcome.failure else "none", ""
    ne, beside = f"{judged.ne:#.4g}", f"{judged.beside:.4f}"
    if judged.deviations is None:
        return ne, beside
    return f"{ne} ± {judged.deviations[0]:.4f}", f"{beside} ± {judged.deviations[1]:.4f}"


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
