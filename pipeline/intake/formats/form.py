"""What a format has to say of itself to be imported."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.intake.blocks import Encoding
from pipeline.intake.days import Days
from pipeline.intake.known_spec import Spec
from pipeline.intake.text_rows import Layout, TextRows

ROW_ID = "row_id"


@dataclass(frozen=True, slots=True)
class LogRows:
    """Rows as they come to lie in the log, and the day of each; None where no column says it."""

    rows: TextRows
    days: Days | None = None


class Format(Protocol):
    """One kind of file. What is a property here is the same for all files of an import."""

    @property
    def name(self) -> str: ...

    @property
    def layout(self) -> Layout:
        """By which its lines are read."""

    @property
    def header(self) -> tuple[str, ...]:
        """What the first line of each file has to say; empty: files have no such line."""

    @property
    def encoding(self) -> Encoding: ...

    @property
    def has_row_ids(self) -> bool:
        """Whether rows are given a key, since they have none: ROW_ID, the number of file and line."""

    @property
    def spec(self) -> Spec | None:
        """Of its columns, if they are the same in all files of the format."""

    @property
    def label(self) -> str | None:
        """The column of clicks, if it is known."""

    @property
    def timezone_of_days(self) -> str | None:
        """In which the days begin at midnight that a column of times tells; None where none does."""

    def to_log(self, rows: TextRows) -> LogRows:
        """From the columns of a line to those of the log, without the rows that break the format."""
