"""Which day a row is of by a column of times: a timestamp, or a date.

A timestamp with a zone is an instant, and its day is the one that the log's timezone then has; whichever zone it is
shown in does not matter. INT96, in which Spark writes instants, is one as well. A timestamp without a zone shows the
clock of the log's timezone itself, and a date is a day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from numpy.typing import NDArray

from pipeline.data import footer
from pipeline.data.footer import Footer
from pipeline.data.unreadable import unreadable
from schemas.errors import Refusal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400
QUARTER_SECONDS = 900  # clocks change by multiples of it
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_DAY, LAST_DAY = date(1, 1, 2), date(9999, 12, 29)  # beyond which a neighbour in another zone would be no date
FIRST_TICK, LAST_TICK = -(2**63), 2**63 - 1
OTHER_TYPES = (
    "cast it where the log is written: text by pyarrow.compute.strptime, seconds since 1970 by .cast('timestamp[s]')"
)


@dataclass(frozen=True, slots=True)
class Clock:
    """How the numbers of a column tell a day: ticks since 1970, so many of them a day, and midnight where it is."""

    ticks_a_day: int
    timezone: str

    @classmethod
    def of(cls, kind: pa.DataType, timezone: str, *, is_int96: bool) -> "Clock":
        if pt.is_date(kind):
            return cls(1, "UTC")
        return cls(DAY_SECONDS * PER_SECOND[kind.unit], timezone if kind.tz or is_int96 else "UTC")

    def start_of(self, day: date) -> int:
        """The first tick of the day: midnight, or where the clock skips that, what it goes on with."""
        if self.timezone == "UTC":
            return (day.toordinal() - EPOCH.toordinal()) * self.ticks_a_day
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.timezone))
        return (midnight - EPOCH) // timedelta(seconds=1) * (self.ticks_a_day // DAY_SECONDS)

    def is_on(self, ticks: pa.ChunkedArray, day: date) -> pa.ChunkedArray:
        """Which rows are of the day; none without a time."""
        begins, ends = self.start_of(day), self.start_of(day + timedelta(1))
        is_in = pc.greater_equal(ticks, pa.scalar(max(begins, FIRST_TICK)))
        if ends <= LAST_TICK:
            is_in = pc.and_(is_in, pc.less(ticks, pa.scalar(ends)))
        return is_in.fill_null(False)

    def count(self, ticks: NDArray[np.int64]) -> dict[date, int]:
        """How many of these are on each day, in order. Raises ValueError for a time in no year from 1 to 9999."""
        if not len(ticks):
            return {}
        in_utc = np.unique(ticks // self.ticks_a_day) + EPOCH.toordinal()
        if in_utc[0] <= FIRST_DAY.toordinal() or in_utc[-1] >= LAST_DAY.toordinal():
            raise ValueError("a time in no year from 1 to 9999")
        near = np.unique(np.concatenate([in_utc - 1, in_utc, in_utc + 1]))  # no zone is a day away from UTC
        starts = {day: self.start_of(day) for day in map(date.fromordinal, near.tolist())}
        days = [day for day, start in starts.items() if start <= LAST_TICK]
        begins = np.array([max(starts[day], FIRST_TICK) for day in days])
        counts = np.bincount(np.searchsorted(begins, ticks, side="right") - 1, minlength=len(days))
        return {day: int(count) for day, count in zip(days, counts, strict=True) if count}


@dataclass(frozen=True, slots=True)
class Times:
    """The column that tells the day of a row, in a log of this timezone. A row without a time is of no day."""

    column: str
    timezone: str

    def by_statistics(self, file: Footer | pq.ParquetFile, group: int, where: str) -> dict[date, int] | None:
        """The rows of a row group by their days; None where its statistics do not tell: they are of several.

        Raises Refusal for a file without the column, or with one that tells no day.
        """
        clock = self._clock(file, where)
        of_group = file.metadata.row_group(group)
        found = of_group.column(footer.leaf(file.metadata, self.column)).statistics
        if found is None or not found.has_null_count:
            return None
        if found.null_count == of_group.num_rows:
            return {}
        if not found.has_min_max:
            return None
        days = _counted(clock, np.array([found.min_raw, found.max_raw]), self.column, where)
        return dict.fromkeys(days, of_group.num_rows - found.null_count) if len(days) == 1 else None

    def by_rows(self, uri: str, group: int) -> dict[date, int]:
        """The same by reading the column, and no other. Raises Refusal for what cannot be read."""
        where = f"{uri}, row group {group}"
        try:
            with fsspec.open(uri, "rb") as stream:
                file = pq.ParquetFile(stream)
                clock = self._clock(file, where)
                ticks = _ticks(file.read_row_group(group, columns=[self.column]).column(0))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(where, error) from error
        return _counted(clock, ticks.drop_null().to_numpy(), self.column, where)

    def rows_of(self, day: date, table: pa.Table, file: pq.ParquetFile, where: str) -> pa.Table:
        """Those of the table's rows, which has the column, that are of the day."""
        is_on = self._clock(file, where).is_on(_ticks(table.column(self.column)), day)
        return table if pc.all(is_on).as_py() else table.filter(is_on)

    def _clock(self, file: Footer | pq.ParquetFile, where: str) -> Clock:
        names = file.schema_arrow.names
        if names.count(self.column) != 1:
            several = f"{names.count(self.column)} columns" if self.column in names else "no column"
            others = [repr(one.name) for one in file.schema_arrow if pt.is_timestamp(one.type) or pt.is_date(one.type)]
            remedy = f"name in data.partitioning.column one that tells the day{': ' * bool(others)}{', '.join(others)}"
            raise self._refusal(f"{several} named {self.column!r}", where, remedy)
        kind = file.schema_arrow.field(self.column).type
        if not (pt.is_timestamp(kind) or pt.is_date(kind)):
            raise self._refusal(f"column {self.column!r} of type {kind}", where, OTHER_TYPES)
        leaf = file.metadata.schema.column(footer.leaf(file.metadata, self.column))
        return Clock.of(kind, self.timezone, is_int96=leaf.physical_type == "INT96")

    def _refusal(self, found: str, where: str, remedy: str) -> Refusal:
        expected = f"a column {self.column!r} of timestamps or dates, which tell the day of a row"
        return Refusal(found=found, expected=expected, where=where, remedy=remedy)


def _ticks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pt.is_date(column.type):
        return column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    return column.cast(pa.int64())


def _counted(clock: Clock, ticks: NDArray[np.int64], column: str, where: str) -> dict[date, int]:
    try:
        return clock.count(ticks)
    except ValueError as error:
        raise Refusal(
            found=f"{error} in column {column!r}",
            expected="timestamps in the unit that the column's type says",
            where=where,
            remedy="write the column anew: milliseconds taken for seconds lie thousands of years away",
        ) from error


def hours_of(day: date, timezone: str) -> tuple[int, ...]:
    """Those that the clock shows on the day: not the one that summer time skips, and once the one that it repeats."""
    seconds, zone = Clock(DAY_SECONDS, timezone), ZoneInfo(timezone)
    begins, ends = seconds.start_of(day), seconds.start_of(day + timedelta(1))
    shown = (datetime.fromtimestamp(moment, zone) for moment in range(begins, ends, QUARTER_SECONDS))
    return tuple(sorted({moment.hour for moment in shown}))
