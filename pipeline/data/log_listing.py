"""What a log is to whoever wants its days, or the files of some, however it is divided into days."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

import fsspec

from pipeline.data import layouts
from pipeline.data.entries import name_of
from pipeline.data.left_aside import NOT_PARQUET, LeftAside, in_words
from pipeline.data.manifest import Manifest
from schemas.errors import Refusal

Check = Callable[..., tuple[str, ...]]
"""click_log.check, of a file's schema and `where` that is: refuses it, or names columns of which nothing is known."""
FOOTER_THREADS = 16


@dataclass(frozen=True, slots=True)
class LogListing(ABC):
    """The log as it is now."""

    fs: fsspec.AbstractFileSystem
    uri: str
    days: tuple[date, ...]
    """In order; there is at least one."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Those that files may have because of how days are told."""

    @abstractmethod
    def read(self, days: Sequence[date], check: Check) -> Manifest:
        """What each file has of these days, by its footer, its schema checked.

        Raises Refusal for a day that is not there, for rows that would be left out, and for a file that is not whole.
        """

    @abstractmethod
    def places_of(self, day: date) -> tuple[str, ...]:
        """The folders, as URIs, that hold all files of the day."""

    def missing_hours(self, day: date) -> tuple[int, ...]:
        """Those of the day that the log has no folder of; none where its folders tell no hours."""
        return ()

    @property
    def has_hours(self) -> bool:
        """Whether folders tell hours."""
        return False

    @abstractmethod
    def is_marked(self, day: date) -> bool:
        """Whether a `_SUCCESS` file says that the day is whole."""

    def where(self, day: date) -> str:
        """The day, for a refusal."""
        places = self.places_of(day)
        return places[0] if len(places) == 1 and places[0] != self.uri else f"{self.uri}, {day}"

    def require(self, days: Collection[date]) -> None:
        """Refuse a day that the log does not have."""
        for day in sorted({*days} - {*self.days}):
            raise Refusal(
                found=f"no such day, {day}",
                expected=f"days between {self.days[0]} and {self.days[-1]} that the log has",
                where=self.uri,
                remedy="choose a day that the log has, or wait until it is written",
            )


def without_files(where: str, left_aside: Sequence[LeftAside]) -> Refusal:
    names = sorted(name_of({"name": one.uri}) for one in left_aside if one.reason == NOT_PARQUET)
    what = f" that hold rows; {in_words(left_aside)}" * bool(left_aside)
    return Refusal(
        found="a day without files" + what + (f": {layouts.kinds_in_words(names)}" if names else ""),
        expected="at least one Parquet file",
        where=where,
        remedy=layouts.remedy_of_files(names) or "write the day again, or leave it out of the split's dates",
    )
