"""The files of a run, frozen, so that it can be repeated and told apart, and divided into parts to work on."""

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from pipeline.data.late_columns import LateColumn
from pipeline.data.left_aside import LeftAside
from pipeline.data.missing_hours import MissingHours
from pipeline.data.times import Times
from pipeline.data.unknown_columns import UnknownColumn


@dataclass(frozen=True, slots=True)
class LogFile:
    """What one Parquet file has of one day; the footer's digest stands for its schema, sizes and statistics."""

    uri: str
    day: date
    size_bytes: int
    row_group_rows: tuple[int, ...]
    """Of the day."""
    footer_sha256: str
    times: Times | None = None
    """By which rows of the day are told from the file's others; None: all are of the day."""

    @property
    def num_rows(self) -> int:
        return sum(self.row_group_rows)

    @property
    def row_groups(self) -> list[tuple[int, int]]:
        """Those to read, with the day's rows in each."""
        return [(group, rows) for group, rows in enumerate(self.row_group_rows) if rows or not self.times]


@dataclass(frozen=True, slots=True)
class Part:
    """What one task reads: some row groups of one day's files."""

    day: date
    index: int
    row_groups: tuple[tuple[str, int], ...]
    unproven_column: str | None = None
    """As in `Manifest`."""
    num_rows: int = 0
    times: Times | None = None
    """As in `LogFile`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a run, in the order of days, then of names."""

    files: tuple[LogFile, ...]
    left_aside: tuple[LeftAside, ...] = ()
    """What lies among them and is not read."""
    unproven_column: str | None = None
    """Named like the partition, and not proven by every footer to hold the path's day: whoever reads rows looks."""
    unknown_columns: tuple[UnknownColumn, ...] = ()
    missing_hours: tuple[MissingHours, ...] = ()
    late_columns: tuple[LateColumn, ...] = ()

    @classmethod
    def of(cls, parts: Sequence["Manifest"]) -> "Manifest":
        """All of them together."""
        return cls(
            files=tuple(file for part in parts for file in part.files),
            left_aside=tuple(sorted({one for part in parts for one in part.left_aside}, key=lambda one: one.uri)),
            unproven_column=next((part.unproven_column for part in parts if part.unproven_column), None),
            unknown_columns=tuple(sorted({unknown for part in parts for unknown in part.unknown_columns})),
            missing_hours=tuple(sorted({missing for part in parts for missing in part.missing_hours})),
            late_columns=tuple(sorted({late for part in parts for late in part.late_columns})),
        )

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(sorted({file.day for file in self.files}))

    @property
    def num_rows(self) -> int:
        return sum(file.num_rows for file in self.files)

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed or rewritten; 16 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def of_days(self, days: Collection[date]) -> "Manifest":
        """What was left aside beside the days stays with all of them."""
        wanted = {*days}
        return replace(
            self,
            files=tuple(file for file in self.files if file.day in wanted),
            left_aside=tuple(one for one in self.left_aside if one.day is None or one.day in wanted),
            unknown_columns=tuple(one for one in self.unknown_columns if one.day in wanted),
            missing_hours=tuple(one for one in self.missing_hours if one.day in wanted),
            late_columns=tuple(one for one in self.late_columns if one.day in wanted),
        )

    def to_json(self) -> str:
        trees = ({key: value for key, value in asdict(file).items() if value is not None} for file in self.files)
        return json.dumps([*trees], default=str, indent=1)

    def parts(self, rows_per_part: int) -> list[Part]:
        """Divide each day into parts of about `rows_per_part` rows.

        A day's part j of m holds its row groups j, j + m, j + 2m, ...: each part is a sample of the whole day, so that
        shuffling parts by themselves shuffles the day, without moving rows between machines.
        """
        parts = []
        for day in self.days:
            files = [file for file in self.files if file.day == day]
            groups = [(file.uri, group) for file in files for group, _ in file.row_groups]
            rows = [num_rows for file in files for _, num_rows in file.row_groups]
            count = min(len(groups), math.ceil(sum(rows) / rows_per_part))
            parts += [
                Part(
                    day=day,
                    index=index,
                    row_groups=tuple(groups[index::count]),
                    unproven_column=self.unproven_column,
                    num_rows=sum(rows[index::count]),
                    times=files[0].times,
                )
                for index in range(count)
            ]
        return parts
