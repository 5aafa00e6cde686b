"""`nightjar status`: which model serves, how old it is, and how the last nights went."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs.console import result_console, tell
from jobs.options import ConfigPath, Overrides
from jobs.places import load_config, require_work
from jobs.tables import print_table, rows_and_passes
from schemas.config import MLflowConfig
from schemas.errors import Refusal
from schemas.redaction import redacted

if TYPE_CHECKING:
    from pipeline.nights.history import Entry
    from pipeline.nights.records import Night
    from pipeline.registry.versions import Version

TOLD = (("NE", "ne"), ("AUC", "auc"), ("accuracy", "accuracy"), ("RMSE", "rmse"))  # of what served


def status(
    config: ConfigPath,
    last: Annotated[int, typer.Option(min=1, help="How many nights to show.")] = 14,
    set_: Overrides = None,
) -> None:
    """Show the champion, its age, the last nights with their verdicts, and the days of the log without a night.

    Example: `nightjar status --config jobs/configs/nightly.yaml`
    """
    loaded = load_config(config, set_)
    from pipeline.data import logs
    from pipeline.nights import records
    from pipeline.nights.history import history
    from pipeline.registry import versions
    from pipeline.registry.tracking import require

    require_work(loaded)
    tracking = require(loaded.mlflow, loaded.work_uri)
    name = loaded.mlflow.registered_model
    champion, nights = versions.champion(tracking, name), records.all_of(loaded)
    if champion is None and not nights and not tracking.experiment_id:
        raise _nothing_recorded(loaded.mlflow, tracking.uri)
    if champion is None:
        print(f"{name} has no champion yet")
    else:
        tell_champion(champion, nights)
    entries = history(nights, records.moves_of(loaded), champion.uri if champion else None)
    shown = {id(night) for night in nights[-last:]}
    first = next((number for number, entry in enumerate(entries) if id(entry.night) in shown), 0)
    if entries:
        print_nights(entries[first:], result_console())
    if nights:
        without = without_a_night(logs.days_of(loaded.data), nights)
        tell(f"days of the log without a night: {', '.join(map(str, without)) or 'none'}", indent=2)
    else:
        print("no night is over yet")


def without_a_night(days: Sequence[date], nights: Sequence["Night"]) -> list[date]:
    """The days after the first one that a night has held out, and that none has."""
    seen = {day for night in nights for day in night.held_out_days}
    return [day for day in days if min(seen) < day and day not in seen]


def _nothing_recorded(config: MLflowConfig, tracking_uri: str) -> Refusal:
    return Refusal(
        found=f"no experiment {config.experiment!r}, no champion of {config.registered_model} and no night",
        expected="what `nightjar train` or a night has recorded",
        where=redacted(tracking_uri),
        remedy="correct --config or mlflow.tracking_uri, if it lies elsewhere; else run a night first",
    )


def tell_champion(champion: "Version", nights: Sequence["Night"]) -> None:
    from pipeline.registry.tags import VERDICT

    age = datetime.now(UTC) - champion.created
    tell(f"{champion.uri} is champion, registered {champion.created:%Y-%m-%d %H:%M} UTC, {in_days(age)} ago")
    tell(f"  {champion.tags.get(VERDICT, '')}".rstrip(), indent=2)
    for words in _last_judged(champion.uri, nights):
        tell(f"  {words}", indent=2)


def _last_judged(uri: str, nights: Sequence["Night"]) -> Iterator[str]:
    """The champion's figures of the newest night that has scored it, in lines of at most 80 characters."""
    from pipeline.evaluation.intervals import with_bounds

    for night in reversed(nights):
        for model, figures, bounds in (
            (night.began_with, night.champion, night.champion_bounds),
            (night.candidate_uri, night.candidate, night.bounds),
        ):
            told = [(name, key) for name, key in TOLD if key in figures]
            if model == uri and len(told) > 1:
                words = ", ".join(f"{name} {with_bounds(figures[key], bounds.get(key))}" for name, key in told)
                yield f"on {night.day}: {words}"
                return


def in_days(age: timedelta) -> str:
    return f"{age / timedelta(days=1):.1f} days" if age > timedelta(days=1) else f"{age / timedelta(hours=1):.1f} hours"


def print_nights(entries: "Sequence[Entry]", console: Console) -> None:
    """A row a night, and one for each move of the champion between two of them."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("night", "start", "verdict", "served"):
        table.add_column(heading, no_wrap=True)
    for heading in ("candidate's NE", "champion's NE", "rows trained", "minutes", "its data"):
        table.add_column(heading, justify="right")
    for entry in entries:
        night = entry.night
        if night is None:
            table.add_row(entry.when, "", entry.what, entry.served_in_short)
            continue
        ne, its = night.candidate.get("ne"), night.champion.get("ne")
        table.add_row(
            entry.when,
            night.start,
            entry.what,
            entry.served_in_short,
            "-" if ne is None else f"{ne:.4f}",
            "-" if its is None else f"{its:.4f}",
            rows_and_passes(night.rows_trained, night.passes),
            f"{sum(night.seconds.values()) / 60:.1f}",
            _data_of(night),
        )
    print_table(console, table)


def _data_of(night: "Night") -> str:
    told = {"broken": len(night.breaches), "unusual": len(night.unusual)}
    return ", ".join(f"{number} {kind}" for kind, number in told.items() if number) or "as usual"
