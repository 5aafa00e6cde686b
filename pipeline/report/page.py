"""What the morning's page says, as plain data: `report.render` draws it, `two_sentences` has the gist."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.row_sums import RowSums
from pipeline.evaluation.verdict import Verdict
from pipeline.evaluation.worth import Worth
from pipeline.runtime.progress import Phase

REPORT = "report.html"  # what a page is called among the artifacts of its run
Outcome = Literal["promoted", "kept", "stopped"]
NOTHING_SERVES = "nothing serves yet"  # what a night kept that began without a champion


@dataclass(frozen=True, slots=True)
class Night:
    """One night's progressive validation: its champion scored on the day that was new then."""

    date: date
    ne: float | None
    was_promoted: bool = False  # the night ended with another champion


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column on the new day; None is not known and shown as a dash."""

    name: str
    nulls: float | None = None  # share of the rows
    distinct: int | None = None
    unseen: float | None = None  # share of the values that the champion's vocabulary lacks
    psi: float | None = None  # population stability index against the trailing days
    breaches: tuple[str, ...] = ()  # bounds beyond which it is broken, in words
    unusual: tuple[str, ...] = ()  # those beyond which it is only unusual


@dataclass(frozen=True, slots=True)
class DataProfile:
    """The new day, beside the days before it."""

    rows: int
    label_rate: float | None = None
    bad_rows: int = 0
    trailing_rows: float | None = None  # mean a day
    trailing_label_rate: float | None = None
    num_days: int = 1  # that are taken together, as many before them each time
    columns: tuple[ColumnProfile, ...] = ()
    breaches: tuple[str, ...] = ()  # of the day as a whole, in words
    unusual: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Growth:
    """Ids of one field's vocabulary: those it had, and those of tonight."""

    field: str
    before: int
    added: int


@dataclass(frozen=True, slots=True)
class Page:
    """One night. What is empty is left out of the page; every string is text, never HTML."""

    model: str  # registered name
    date: str  # the held-out day or days
    outcome: Outcome
    candidate: str = ""  # such as "version 8 (deepfm, warm)"
    champion: str = ""  # the one the night began with; empty: there was none
    why: str = ""  # of a night that no verdict ended; a verdict says its own reason
    notes: tuple[str, ...] = ()  # whole sentences
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    confidence: float = 0.95  # of the evidence's intervals
    curves: Mapping[str, RowSums] = field(default_factory=dict)  # name -> sums of the same rows; the candidate first
    classes: tuple[str, ...] = ()  # of the label, where it has some
    nights: tuple[Night, ...] = ()
    history: tuple[tuple[str, str, str], ...] = ()  # when, what became of the champion, what served from then on
    worth: Worth | None = None  # of the fields to the candidate
    worth_before: Mapping[str, float] = field(default_factory=dict)  # field -> its rise of NE an earlier night
    worth_of: str = ""  # which night
    profile: DataProfile | None = None
    growth: tuple[Growth, ...] = ()
    phases: tuple[Phase, ...] = ()  # of its time
    versions: Mapping[str, str] = field(default_factory=dict)  # of code, data, config, libraries

    @property
    def became(self) -> str:
        """The outcome, as people read it."""
        return NOTHING_SERVES if self.outcome == "kept" and not self.champion else self.outcome

    @property
    def reason(self) -> str:
        return self.why or (self.verdict.reason if self.verdict else "")


def two_sentences(page: Page) -> str:
    """What became of the champion and why: for MLflow's run description and the console."""
    return " ".join([f"{page.model}, {page.date}: {lead(page)}", *([sentence(page.reason)] if page.reason else [])])


def lead(page: Page) -> str:
    """The outcome in a sentence, starting with its word, up to a colon."""
    if page.outcome == "promoted":
        instead = f" in place of {page.champion}" if page.champion else ", the first"
        return f"Promoted: {page.candidate or 'the candidate'} is champion{instead}."
    if page.outcome == "stopped":
        stays = f"; {page.champion} stays champion" if page.champion else ""
        return f"Stopped: the night ended before a verdict{stays}."
    rejected = f"{page.candidate} is rejected" if page.candidate else ""
    if not page.champion:
        return f"Nothing serves yet: {rejected or 'there is no candidate'}."
    return f"Kept: {page.champion} stays champion{f', and {rejected}' if rejected else ''}."


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
