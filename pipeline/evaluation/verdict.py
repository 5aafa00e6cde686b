"""What the gate says: a reason a rule, the verdict that they add up to, and figures in their words."""

import math
from dataclasses import dataclass

from pipeline.evaluation.bootstrap import Interval


@dataclass(frozen=True, slots=True)
class Reason:
    rule: str
    passed: bool
    words: str  # what was found, against its bound; without a capital or a full stop, to be joined
    key: str = ""  # the setting that the bound is, as it stands in a config; empty: there is none to change

    @property
    def in_full(self) -> str:
        """The words, and by which key the rule goes."""
        return f"{self.words} ({self.key})" if self.key else self.words


@dataclass(frozen=True, slots=True)
class Verdict:
    promote: bool  # every rule passed
    reasons: tuple[Reason, ...]  # one a rule, in the order of `decide`

    def judging(self, reason: Reason) -> "Verdict":
        """With that reason in place of the rule's own, or beside the others where the gate knows no such rule."""
        is_known = any(one.rule == reason.rule for one in self.reasons)
        reasons = tuple(reason if one.rule == reason.rule else one for one in self.reasons)
        reasons += () if is_known else (reason,)
        return Verdict(all(one.passed for one in reasons), reasons)

    @property
    def failed_rules(self) -> tuple[str, ...]:
        return tuple(reason.rule for reason in self.reasons if not reason.passed)

    @property
    def reason(self) -> str:
        """Why: every rule that failed, in full, or, promoted, the words of the comparison with the champion."""
        failed = [reason.in_full for reason in self.reasons if not reason.passed]
        return "; ".join(failed) or next(reason.words for reason in self.reasons if reason.rule == "champion")


def change_in_words(change: Interval) -> str:
    """The estimate and its bounds, signed: `-0.0037 (-0.0051 to -0.0022)`."""
    estimate, low, high = (figure(value, change.estimate, "+") for value in (change.estimate, change.low, change.high))
    return f"{estimate} ({low} to {high})"


def figure(value: float, gap: float = 1.0, sign: str = "") -> str:
    """To 4 decimals, or as many as show 2 digits of `gap`, which is what tells the value from the one beside it."""
    needed = 4 if gap == 0 or not math.isfinite(gap) else 1 - math.floor(math.log10(abs(gap)))
    return f"{value:{sign}.{min(max(4, needed), 9)}f}"
