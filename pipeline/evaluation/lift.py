"""What pretraining bought: a stage against its control, the same net from random rows over as many rows in all."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.bootstrap import Comparison

Curve = Sequence[Sequence[float]]
"""[rows seen, NE on a sample of the held-out rows], as training went."""


@dataclass(frozen=True, slots=True)
class Lift:
    """A stage minus its control, on the same held-out rows, and how soon it was as good."""

    comparison: Comparison
    rows_to_reach: float | None
    """Rows seen, those of the stages before it included, when its NE first was the control's last; None: it never was.
    """
    control_rows: float
    """Rows that the control has seen in all."""

    @property
    def rows_ratio(self) -> float | None:
        return None if self.rows_to_reach is None else self.rows_to_reach / self.control_rows

    def in_words(self, stage: str) -> str:
        """Whether pretraining helped `stage`, in a sentence with its figures."""
        change = self.comparison.log_loss
        if change is None:
            return f"{stage}: the held-out rows hold one class only, so that pretraining cannot be judged"
        ratio = self.rows_ratio
        soon = "never reached its NE" if ratio is None else f"reached its NE at {ratio:.0%} of its rows"
        span = f"log loss {change.estimate:+.5f} ({change.low:+.5f} to {change.high:+.5f})"
        if not change.is_clear:
            return f"{stage}: pretraining made no clear difference to its control: {span}; it {soon}"
        verb = "helped" if change.estimate < 0 else "hurt"
        return f"{stage}: pretraining {verb} against its control: {span}; it {soon}"

    def metrics(self) -> dict[str, float]:
        """Name -> value of what is defined, ready to log."""
        found: dict[str, float] = {}
        for name in ("log_loss", "ne", "auc"):
            interval = getattr(self.comparison, name)
            if interval is not None:
                found |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        if self.rows_ratio is not None:
            found["rows_ratio"] = self.rows_ratio
        return found


def rows_to_reach(curve: Curve, goal_ne: float, rows_before: float) -> float | None:
    """Rows seen when the curve first lies at `goal_ne` or below, between two points on a straight line.

    `rows_before` are those that earlier stages had seen. A first point that is low enough counts as it is.
    """
    last_rows, last_ne = rows_before, float("inf")
    for rows_seen, ne in curve:
        rows = rows_before + rows_seen
        if ne <= goal_ne:
            share = 1.0 if last_ne == float("inf") else (last_ne - goal_ne) / (last_ne - ne)
            return last_rows + share * (rows - last_rows)
        last_rows, last_ne = rows, ne
    return None
