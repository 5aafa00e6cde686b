"""What a submitted command is about: its night, pinned before it travels, and the state of the days that it reads."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from pipeline.data import split
from pipeline.data.log_listing import LogListing
from pipeline.nights.complete import held_out_with, newest_complete
from pipeline.submission import log_state
from pipeline.submission.work import Work
from schemas.errors import Refusal
from schemas.night import day_of
from schemas.redaction import redacted

OF_INPUT = {"train", "nightly", "backfill"}
"""Verbs of which a second call on the same input does nothing: what succeeded once is their result."""


def is_answered(work: Work, log: str | None) -> bool:
    """Whether an earlier job of that name did this very work: its input is in the name, as far as it was seen."""
    return work.verb in OF_INPUT and log is not None and not any(one.starts_from_model for one in work.config.stages)


def of_log(work: Work) -> tuple[Work, date | None, str | None]:
    """The work with its night's day pinned, the newest day that it is about, and the state of the days that it reads.

    That is None of a log that cannot be read from here.
    """
    if work.verb not in OF_INPUT:
        return work, None, ""
    data, options = work.config.data, _options(work.arguments)
    listing = log_state.listing_of(data)
    if work.verb == "nightly":
        return _pinned(work, listing)
    if work.verb == "backfill":
        last = day_of(options["--to"])
        days = listing.days if listing else ()
        read = [day for day in days if day_of(options["--from"]) <= day <= last]
        return work, last, log_state.state_of(listing, read) if listing else None
    if listing is None:
        return work, None, None
    resolved = split.resolve(listing.days, data)
    return work, max(resolved.days), log_state.state_of(listing, resolved.days)


def _pinned(work: Work, listing: LogListing | None) -> tuple[Work, date, str | None]:
    data, night = work.config.data, work.config.night
    named = _options(work.arguments).get("--date", "auto")
    if named == "auto" and listing is None:
        raise Refusal(
            found="a log that cannot be read from here",
            expected="the day of the night, or a log whose newest complete day can be seen",
            where=redacted(data.logs_uri),
            remedy="give --date YYYY-MM-DD",
        )
    day = newest_complete(listing, data, night) if listing and named == "auto" else day_of(named)
    if listing:
        split.require([day], listing.days, data.logs_uri)
    others = list(work.arguments)
    if "--date" in others:
        at = others.index("--date")
        del others[at : at + 2]
    log = log_state.state_of(listing, held_out_with(day, listing.days, work.config)) if listing else None
    return replace(work, arguments=("--date", str(day), *others)), day, log


def _options(arguments: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(arguments) if name.startswith("--")}
