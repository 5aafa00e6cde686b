"""What a night has found out, as far as it has come: what its page and its record are made of."""

from dataclasses import dataclass

from pipeline.data.unknown_classes import UnknownClass
from pipeline.evaluation.baselines import CONSTANTS
from pipeline.evaluation.worth import Worth
from pipeline.nights.plan import Tonight
from pipeline.profiles.bounds import Breach, Kind, summed_up
from pipeline.profiles.profile import DayProfile
from pipeline.registry.versions import Version
from pipeline.retrain.opponent import Opponent
from pipeline.retrain.promotion import Decision
from pipeline.retrain.trained import Trained


@dataclass(frozen=True, slots=True)
class Looks:
    """At the held-out days together, and at those before them."""

    days_before: tuple[DayProfile, ...]
    trailing: tuple[DayProfile, ...]
    """The days before, as many together as are held out."""
    new: DayProfile
    breaches: tuple[Breach, ...]

    def summed_up(self, kind: Kind) -> tuple[str, ...]:
        """A line for each rule of that kind that is broken."""
        return summed_up([breach for breach in self.breaches if breach.kind == kind])

    @property
    def is_all_said(self) -> bool:
        """No breach is left out of what they are summed up to."""
        return len(self.summed_up("broken")) + len(self.summed_up("unusual")) == len(self.breaches)

    @property
    def in_full(self) -> str:
        """A line for each breach."""
        return "".join(f"{breach.kind}: {breach.words}\n" for breach in self.breaches)


@dataclass(frozen=True, slots=True)
class NightProgress:
    """None, or empty, is what a night has not come to."""

    tonight: Tonight
    looks: Looks
    opponent: Opponent | None = None
    trained: Trained | None = None
    decision: Decision | None = None
    refreshed: Trained | None = None
    """What the accepted candidate has learned of the held-out days."""
    serves: Version | None = None
    """From now on."""
    worth: Worth | None = None
    """Of each field, to the candidate."""

    @property
    def unknown_classes(self) -> tuple[UnknownClass, ...]:
        """Rows that the candidate has not learned, nor is judged by; where nothing was trained, the champion."""
        if self.trained:
            return self.trained.store.unknown_classes
        return self.opponent.unknown_classes if self.opponent else ()

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """What needs no model, on the held-out rows. The groups' rates of a cold start alone: a warm one reads of all
        the days that the champion knows only the new ones.
        """
        baseline = self.decision.evidence.baseline if self.decision else None
        found: dict[str, dict[str, float]] = {}
        if self.decision and baseline:
            objective = self.decision.evidence.candidate.objective
            constant = baseline.constant
            told = {"rate" if objective == "binary" else "told": constant} if isinstance(constant, float) else {}
            found[CONSTANTS[objective]] = {**told, "ne": baseline.ne}
        if self.trained and self.tonight.start == "cold":
            found |= {name: one for name, one in self.trained.baselines.items() if name not in CONSTANTS.values()}
        return found
