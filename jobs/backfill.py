"""`nightjar backfill`: nights in a row."""

from typing import Annotated

import typer

from jobs import errors
from jobs.console import result_console, tell
from jobs.event_lines import EventLines, Form
from jobs.options import ConfigPath, Log, Overrides
from jobs.places import as_typed, load_config
from jobs.status import print_nights
from schemas.errors import Busy, Failure, on_one_line
from schemas.night import day_of


def backfill(
    config: ConfigPath,
    from_: Annotated[str, typer.Option("--from", help="First night, YYYY-MM-DD.")],
    to: Annotated[str, typer.Option("--to", help="Last night, YYYY-MM-DD.")],
    go_on: Annotated[bool, typer.Option("--go-on", help="Go on with the next night after one that failed.")] = False,
    set_: Overrides = None,
    log: Log = Form.TEXT,
) -> None:
    """Run the nights of the log's days in order, as if each had been run in its time. Resumable by the same command.

    Example: `nightjar backfill --config jobs/configs/nightly.yaml --from 2026-11-02 --to 2026-11-15`
    """
    loaded = load_config(config, set_)
    first, last = day_of(from_), day_of(to)
    from pipeline.nights.backfill import backfill as run
    from pipeline.nights.history import Entry
    from pipeline.nights.records import Night

    nights: list[Night] = []
    failures: list[str] = []
    with EventLines(log, beats_alone=log is Form.TEXT) as show:
        for day, ended in run(loaded, first, last, "go_on" if go_on else "stop", show):
            if not isinstance(ended, Exception):
                nights.append(ended.night)
                words = "; ".join(filter(None, [ended.night.verdict, ended.words]))
                tell(f"{day}: {ended.night.became}: {words}", indent=12)
                continue
            words_of = errors.in_words(ended)
            if not go_on or words_of is None or isinstance(ended, Busy):
                options = ["--from", str(day), "--to", str(last), *(["--go-on"] if go_on else [])]
                ended.add_note(f"that was the night of {day}; from there it goes on by")
                ended.add_note(f"  {as_typed('backfill', config, set_ or [], *options)}")
                raise ended
            failures.append(str(day))
            tell(f"{day}: failed: {on_one_line(words_of, None)}", indent=12)
    print_nights([Entry(str(night.day), night.became, night.champion_uri, night) for night in nights], result_console())
    if failures:
        raise Failure(f"nights that failed: {', '.join(failures)}; the same command tries them again")
