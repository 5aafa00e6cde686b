"""Nights in a row, for days that are past."""

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pipeline.data import logs
from pipeline.nights.night import nightly
from pipeline.nights.over import Over
from pipeline.runtime import cluster
from pipeline.runtime.progress import Show
from schemas.config import TrainConfig
from schemas.errors import Busy, Refusal

OnFailure = Literal["stop", "go_on"]


def nights_between(config: TrainConfig, first: date, last: date) -> list[date]:
    """The log's days from `first` to `last`; where a night's period is a month, the last one of each."""
    data = config.data
    days = [day for day in logs.days_of(data.logs_uri, data.features) if first <= day <= last]
    if not days:
        raise Refusal(
            found=f"no day from {first} to {last}",
            expected="at least one day of the log",
            where=data.logs_uri,
            remedy="correct --from and --to",
        )
    if config.night.period == "day":
        return days
    return sorted({(day.year, day.month): day for day in days}.values())


def backfill(
    config: TrainConfig, first: date, last: date, on_failure: OnFailure, show: Show
) -> Iterator[tuple[date, Over | Exception]]:
    """Each night's day and what became of it, as it ends; nights that are over already take no time.

    A failure is yielded too, whatever it is. With `stop` it is the last; with `go_on` the next night goes on without
    that one, but for Busy.
    """
    days = nights_between(config, first, last)
    with cluster.connected(config.cluster):
        for day in days:
            try:
                ended: Over | Exception = nightly(config, day, show)
            except Exception as failure:
                ended = failure
            yield day, ended
            if isinstance(ended, Exception) and (on_failure == "stop" or isinstance(ended, Busy)):
                return
