"""`nightjar nightly`: one night, from the day's log to the champion that serves in the morning."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jobs.console import ProgressView, result_console
from jobs.event_lines import Form
from jobs.options import AsJson, ConfigPath, Log, Overrides
from jobs.places import load_config
from schemas.errors import Failure
from schemas.night import day_of

if TYPE_CHECKING:
    from pipeline.nights.records import Night

NightDate = Annotated[str, typer.Option("--date", help="Day that is held out, YYYY-MM-DD; auto: the newest complete.")]


def nightly(
    config: ConfigPath,
    date: NightDate = "auto",
    again: Annotated[bool, typer.Option("--again", help="Do a night that is over under another config again.")] = False,
    set_: Overrides = None,
    as_json: AsJson = False,
    log: Log = Form.TEXT,
) -> None:
    """Look at the day's data, judge the champion on it, train on, and move `champion` only to what is better.

    Asked for again, a finished night is not repeated, whatever its config was, and an unfinished one goes on. Exits 3
    while another night works on the same model, and 4 where the day's data breaks its bounds.

    Example: `nightjar nightly --config jobs/configs/nightly.yaml --date 2026-11-08`
    """
    loaded = load_config(config, set_)
    day = None if date == "auto" else day_of(date)
    from pipeline.nights.night import nightly as run
    from pipeline.runtime.progress import Clock

    with ProgressView(log) as show:
        over = run(loaded, day, Clock.of_process(show), again)
    night = over.night
    console = result_console(stderr=as_json, soft_wrap=True)
    print_night(night, console)
    if over.words:
        hint = "; --again does it under this one" * bool(over.differs)
        console.print(f"  {over.words}{hint}", highlight=False)
    if as_json:
        print(night.to_json().replace("\n", ""))
    if night.failures:
        raise Failure(f"training stopped: {'; '.join(night.failures.values())}; the other stages went on")


def figures_of(night: "Night") -> Iterator[str]:
    """The candidate's and the champion's with their intervals, and what needs no model; how little few clicks tell."""
    from pipeline.evaluation.intervals import few_clicks, in_words

    if night.candidate:
        yield f"candidate: {in_words(night.candidate, night.bounds)}"
    if night.champion:
        yield f"champion: {in_words(night.champion, night.champion_bounds)}"
    if night.baselines:
        yield ", ".join(f"{name}: NE {figures['ne']:.4f}" for name, figures in night.baselines.items())
    if few := few_clicks(night.candidate.get("positives"), night.bounds):
        yield few


def print_night(night: "Night", console: Console) -> None:
    console.print(f"{night.day}: {night.became}: {night.verdict}", highlight=False)
    for words in figures_of(night):
        console.print(f"  {words}", highlight=False)
    for breach in night.breaches:
        console.print(f"  out of bounds: {breach}", highlight=False)
    for breach in night.unusual:
        console.print(f"  unusual: {breach}", highlight=False)
    if night.num_breaches > len(night.breaches) + len(night.unusual):
        console.print(f"  all {night.num_breaches} of these: breaches.txt of run {night.run_id}", highlight=False)
    console.print(f"  {night.champion_uri or 'nothing'} serves; report.html of run {night.run_id}", highlight=False)
