"""What pretraining bought: a stage against its net from random rows, at equal time and at equal rows of the net."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from pipeline.evaluation.bootstrap import Comparison, Interval

Curve = Sequence[Sequence[float]]
"""[rows or seconds, NE on a sample of the held-out rows], as training went."""


@dataclass(frozen=True, slots=True)
class Control:
    """The same net from random rows, and the pretrained one minus it, on the same held-out rows."""

    name: str
    """What was trained, as people call it."""
    seconds: float
    ne: float | None
    comparison: Comparison

    @property
    def change(self) -> Interval | None:
        """Of NE, as a share of the control's."""
        own = self.comparison.ne
        return Interval(*(one / self.ne for one in (own.estimate, own.low, own.high))) if own and self.ne else None

    def in_words(self) -> str:
        change, ne = self.change, self.ne
        if change is None or ne is None:
            return f"{self.name} cannot be compared, since the held-out rows hold one class only, or one number"
        figures = f"{change.estimate:+.1%}, {change.low:+.1%} to {change.high:+.1%}"
        unclear = "" if change.is_clear else ", which is not clear"
        return f"{self.name} {ne:.4f} in {in_seconds(self.seconds)} ({figures}{unclear})"

    def metrics(self, prefix: str) -> dict[str, float]:
        """Name -> value of what is defined, ready to log."""
        found = {f"{prefix}_seconds": self.seconds}
        for field in fields(self.comparison):
            own = getattr(self.comparison, field.name)
            if own is not None:
                found |= {f"{prefix}_{field.name}{end}": one for end, one in _ends(own)}
        return found


@dataclass(frozen=True, slots=True)
class Lift:
    """A stage and those before it against its controls, as far as there are any."""

    name: str
    """What was trained, one after the other, as people call it."""
    seconds: float
    ne: float | None
    at_equal_time: Control | None = None
    """On as many of the newest days as the same seconds buy."""
    seconds_to_reach: float | None = None
    """When the stage's NE first was the last one of the control of equal time; None: it never was."""
    at_equal_rows: Control | None = None
    """On the same days as the net, and nothing before."""

    @property
    def time_ratio(self) -> float | None:
        """The time to the control's NE, over the control's."""
        control = self.at_equal_time
        return self.seconds_to_reach / control.seconds if control and self.seconds_to_reach is not None else None

    def in_words(self, stage: str) -> str:
        """What pretraining bought `stage`, in a sentence about time."""
        ne = "an undefined NE" if self.ne is None else f"NE {self.ne:.4f}"
        parts = [f"{stage}: in {in_seconds(self.seconds)}, {self.name} reach {ne}"]
        if self.at_equal_time:
            ratio = self.time_ratio
            parts.append(self.at_equal_time.in_words())
            parts.append(
                "that NE was never reached" if ratio is None else f"that NE was reached in {ratio:.0%} of its time"
            )
        if self.at_equal_rows:
            parts.append(f"on the net's days alone, {self.at_equal_rows.in_words()}")
        return "; ".join(parts)

    def metrics(self) -> dict[str, float]:
        """Name -> value of what is defined, ready to log."""
        found = {"seconds": self.seconds}
        for prefix, control in (("equal_time", self.at_equal_time), ("equal_rows", self.at_equal_rows)):
            found |= control.metrics(prefix) if control else {}
        return found if self.time_ratio is None else {**found, "time_ratio": self.time_ratio}


def reached_at(curve: Curve, goal_ne: float, before: float) -> float | None:
    """Rows or seconds when the curve first lies at `goal_ne` or below, between two points on a straight line.

    `before` are those of earlier stages. A first point that is low enough counts as it is.
    """
    last, last_ne = before, float("inf")
    for own, ne in curve:
        now = before + own
        if ne <= goal_ne:
            share = 1.0 if last_ne == float("inf") else (last_ne - goal_ne) / (last_ne - ne)
            return last + share * (now - last)
        last, last_ne = now, ne
    return None


def in_seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _ends(interval: Interval) -> tuple[tuple[str, float], ...]:
    return ("", interval.estimate), ("_low", interval.low), ("_high", interval.high)
