"""`nightjar backfill`: nights in a row."""

from typing import Annotated

import typer

from jobs import errors
from jobs.nightly import day_of
from jobs.options import ConfigPath, Overrides
from jobs.places import load_config
from jobs.status import print_nights
from schemas.errors import Failure


def backfill(
    config: ConfigPath,
    from_: Annotated[str, typer.Option("--from", help="First night, YYYY-MM-DD.")],
    to: Annotated[str, typer.Option("--to", help="Last night, YYYY-MM-DD.")],
    go_on: Annotated[bool, typer.Option("--go-on", help="Go on with the next night after one that failed.")] = False,
    set_: Overrides = None,
) -> None:
    """Run the nights of the log's days in order, as if each had been run in its time. Resumable by the same command.

    Example: `nightjar backfill --config jobs/configs/nightly.yaml --from 2026-11-02 --to 2026-11-15`
    """
    loaded = load_config(config, set_)
    first, last = day_of(from_), day_of(to)
    from pipeline.nights.backfill import backfill as run
    from pipeline.nights.records import Night

    nights: list[Night] = []
    failures: list[str] = []
    for day, ended in run(loaded, first, last, "go_on" if go_on else "stop", lambda event: None):
        if isinstance(ended, Night):
            nights.append(ended)
            print(f"{day}: {ended.outcome}: {ended.verdict}", flush=True)
        else:
            words = errors.in_words(ended)
            if words is None:
                raise ended
            failures.append(str(day))
            print(f"{day}: failed: {' '.join(words.split())}", flush=True)
    print_nights(nights)
    if failures:
        raise Failure(f"nights that failed: {', '.join(failures)}; the same command tries them again")
