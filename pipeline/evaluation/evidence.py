"""What a verdict rests on: the figures of a candidate and of the champion on the same held-out rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.evaluation.baselines import Baseline
from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.intervals import Bounds
from pipeline.evaluation.row_sums import Metrics


@dataclass(frozen=True, slots=True)
class Slice:
    """The held-out rows that have one value of one column."""

    column: str
    value: str
    rows: int
    candidate: Metrics
    champion: Metrics | None
    change: Interval | None  # NE, candidate minus champion; None without a champion and for one class


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate looks at."""

    candidate: Metrics
    champion: Metrics | None = None  # on the same rows; None: there is none
    change: Comparison | None = None  # candidate minus champion
    slices: tuple[Slice, ...] = ()
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    """Metric -> the interval that the candidate's is told by."""
    champion_bounds: Mapping[str, Bounds] = field(default_factory=dict)
    baseline: Baseline | None = None  # None: the training days' base rate is not known, or tells nothing
    golden_difference: float | None = None
    """Largest |difference of p|, or of the largest number, of the registered model in a process of its own.

    None: it was not checked.
    """
