"""`nightjar generate`: a synthetic click log whose truth is known."""

from typing import Annotated

import typer

from pipeline.synthetic.presets import DEFAULT, PresetName
from schemas.locations import absolute


def generate(
    out: Annotated[str, typer.Argument(help="Folder or URI that gets `date=YYYY-MM-DD/` partitions.")],
    days: Annotated[int, typer.Option(help="Days to write, one after another.", min=1)] = 8,
    rows_per_day: Annotated[int, typer.Option(help="Impressions of a day.", min=100)] = 50_000,
    seed: Annotated[int, typer.Option(help="Another seed is another world.", min=0)] = 0,
    preset: Annotated[
        PresetName, typer.Option(help="ads: most ids are seen under ten times; apps: most are seen hundreds of times.")
    ] = DEFAULT,
) -> None:
    """Write a synthetic click log and its `truth.json`: the best AUC and NE any model could reach on each day.

    Example: `nightjar generate data/logs --days 8 --rows-per-day 50000 --seed 7`
    """
    from pipeline.runtime import writable
    from pipeline.synthetic import log

    writable.require(absolute(out), "OUT")
    truth = log.generate(absolute(out), days, rows_per_day, seed, preset=preset)
    rows = sum(day.rows for day in truth.days)
    print(f"{rows:,} rows of {len(truth.days)} days in {out}")
    for day in truth.days:
        best = "one class only" if day.ne is None else f"best possible NE {day.ne:.4f}  AUC {day.auc:.4f}"
        print(f"  {day.date}  {day.rows:>9,} rows  CTR {day.click_rate:.3f}  {best}")
    for column, told in truth.days[-1].ids.items():
        print(f"  {column:<13}  {told.values:>9,} values, {told.seldom:.0%} of them in fewer than ten rows")
