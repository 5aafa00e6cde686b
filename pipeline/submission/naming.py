"""What a job goes by: the same work has the same name, and each attempt at it the next number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from pipeline.runtime import fingerprint
from pipeline.submission.work import Work

PREFIX = "nightjar"
SHOWN_DIGITS = 6
CODE = ("schemas", "pipeline")


@dataclass(frozen=True, slots=True)
class Name:
    """`identity` is a digest of all that travels, of the days of the log and of this code."""

    verb: str
    night: date | None
    identity: str

    @property
    def stem(self) -> str:
        night = [str(self.night)] if self.night else []
        return "-".join([PREFIX, self.verb, *night, self.identity[:SHOWN_DIGITS]])

    def attempt(self, number: int) -> str:
        """The submission id, as in nightjar-nightly-2026-11-16-ab12cd-1."""
        return f"{self.stem}-{number}"

    def number_of(self, submission_id: str) -> int | None:
        """Which attempt at this work an id is; None of other ids."""
        found = re.fullmatch(rf"{re.escape(self.stem)}-([1-9][0-9]{{0,8}})", submission_id)
        return int(found[1]) if found else None


def name_of(work: Work, night: date | None = None, log: str = "") -> Name:
    """`log` tells the state of the days that the work reads, where that can be seen from here."""
    words = [*work.files.values(), *_deciding(work.arguments), *(f"{name}={value}" for name, value in _told(work))]
    return Name(work.verb, night, fingerprint.digest(work.verb, log, fingerprint.of_sources(*CODE), *words))


def _deciding(arguments: Sequence[str]) -> list[str]:
    """Without the options that say how it is told: they decide nothing either."""
    return [
        word for before, word in pairwise(["", *arguments]) if word not in ("--json", "--log") and before != "--log"
    ]


def _told(work: Work) -> list[tuple[str, str]]:
    """The variables that decide what is done; how it is told decides nothing."""
    return sorted((name, value) for name, value in work.environment.items() if name != "NIGHTJAR_LOG")
