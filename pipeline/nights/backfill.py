"""Nights in a row, for days that are past."""

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pipeline.data import logs
from pipeline.nights.complete import of_period, rows_of
from pipeline.nights.night import nightly
from pipeline.nights.over import Over
from pipeline.runtime import cluster
from pipeline.runtime.progress import Show
from schemas.config import TrainConfig
from schemas.errors import Busy, Refusal
from schemas.night import RowsPeriod

OnFailure = Literal["stop", "go_on"]


def nights_between(config: TrainConfig, first: date, last: date) -> list[date]:
    """The log's days from `first` to `last` that end a period: all, the last one of each week or month, or each with
    which the days since the one before have as many rows as the period.
    """
    data = config.data
    days = [day for day in logs.days_of(data) if first <= day <= last]
    if not days:
        raise Refusal(
            found=f"no day from {first} to {last}",
            expected="at least one day of the log",
            where=data.logs_uri,
            remedy="correct --from and --to",
        )
    period = config.night.period
    if not isinstance(period, RowsPeriod):
        return sorted({of_period(day, period): day for day in days}.values())
    nights, num_rows = [], 0
    for day in days:
        num_rows += rows_of(day, data)
        if num_rows >= period.rows:
            nights.append(day)
            num_rows = 0
    if not nights:
        raise Refusal(
            found=f"{num_rows:,} rows from {first} to {last}",
            expected=f"at least {period.rows:,}, which a night holds out",
            where=data.logs_uri,
            remedy="correct --from and --to, or lower night.period.rows",
        )
    return nights


def backfill(
    config: TrainConfig, first: date, last: date, on_failure: OnFailure, show: Show
) -> Iterator[tuple[date, Over | Exception]]:
    """Each night's day and what became of it, as it ends; nights that are over already take no time.

    A failure is yielded too, whatever it is. With `stop` it is the last; with `go_on` the next night goes on without
    that one, but for Busy.
    """
    days = nights_between(config, first, last)
    with cluster.of_command(config.cluster) as nodes:
        nodes.arrive()
        for day in days:
            try:
                ended: Over | Exception = nightly(config, day, show)
            except Exception as failure:
                ended = failure
            yield day, ended
            if isinstance(ended, Exception) and (on_failure == "stop" or isinstance(ended, Busy)):
                return
