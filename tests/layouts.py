"""The rows of three days, laid out as people lay out logs."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from click_logs import click_rows, data_of

from schemas.data import DataConfig

DAYS = [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)]
HOURS = range(24)


def rows_at(day: date, hour: int) -> pa.Table:
    """Eight, and which they are their keys tell."""
    return click_rows(8 * (24 * (day - DAYS[0]).days + hour))


def times(day: date, hour: int, num_rows: int = 8) -> list[datetime]:
    """Within the hour, at UTC."""
    start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return [start + timedelta(minutes=7 * row) for row in range(num_rows)]


def with_times(day: date, hour: int) -> pa.Table:
    return rows_at(day, hour).append_column("ts", pa.array(times(day, hour), pa.timestamp("us", "UTC")))


def write(path: Path, table: pa.Table, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **{"row_group_size": 96, **how})


@dataclass(frozen=True)
class Layout:
    """How a config names it, and what writes it."""

    partitioning: dict[str, str]
    write: Callable[[Path], None]
    template: str = ""
    """Of the folders of a day and an hour, relative to the log's own."""

    def folder(self, day: date, hour: int) -> str:
        return self.template.format(day=day, hour=hour)


def folders(path: str, template: str) -> Layout:
    """A file for each folder that the template makes of a day and an hour."""

    def lay_out(log: Path) -> None:
        of_folder: dict[str, list[pa.Table]] = {}
        for day in DAYS:
            for hour in HOURS:
                of_folder.setdefault(template.format(day=day, hour=hour), []).append(rows_at(day, hour))
        for name, tables in of_folder.items():
            write(log / name / "part-0.parquet", pa.concat_tables(tables))

    return Layout({"by": "path", "path": path} if path else {"by": "day"}, lay_out, template)


def flat(log: Path) -> None:
    """One file of all days: some row groups hold rows of two."""
    tables = [with_times(day, hour) for day in DAYS for hour in HOURS]
    write(log / "clicks.parquet", pa.concat_tables(tables), row_group_size=120)


def by_file(log: Path) -> None:
    """A file a day, named by nothing, and in folders that mean nothing."""
    for number, day in enumerate(DAYS):
        write(log / f"from-{number}" / "clicks.parquet", pa.concat_tables([with_times(day, hour) for hour in HOURS]))


LAYOUTS = {
    "day": folders("", "date={day}"),
    "hour": folders("date=YYYY-MM-DD/hour=HH", "date={day}/hour={hour:02}"),
    "unpadded": folders(
        "year=YYYY/month=MM/day=DD/hour=HH", "year={day:%Y}/month={day.month}/day={day.day}/hour={hour}"
    ),
    "year": folders("year=YYYY/month=MM/day=DD", "year={day:%Y}/month={day:%m}/day={day:%d}"),
    "dt": folders("dt=YYYYMMDD", "dt={day:%Y%m%d}"),
    "together": folders("dt=YYYY-MM-DD-HH", "dt={day}-{hour:02}"),
    "keyless": folders("YYYY/MM/DD/HH", "{day:%Y}/{day:%m}/{day:%d}/{hour:02}"),
    "flat": Layout({"by": "column", "column": "ts"}, flat),
    "files": Layout({"by": "column", "column": "ts"}, by_file),
}


def laid_out(name: str, folder: Path, **keys: Any) -> DataConfig:
    """A log of one's own in the folder, and how it is read."""
    shutil.copytree(_written(name), folder, dirs_exist_ok=True)
    return data_of(folder, partitioning=LAYOUTS[name].partitioning, **keys)


@functools.cache
def _written(name: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    LAYOUTS[name].write(folder)
    return folder
