"""What became of a trial, and what a whole sweep came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.objectives import BESIDE_NE, HEADINGS
from pipeline.report.trials import Axis, plot_trials, suffixes
from schemas.errors import Failure
from schemas.sweep import SweepConfig, Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the validation rows: after which step, and what was found; beside NE one figure, the objective's."""

    step: int
    ne: float
    auc: float | None = None
    accuracy: float | None = None
    rmse: float | None = None

    @property
    def beside(self) -> tuple[str, float]:
        """The name of the other figure, and what it is."""
        found = ((name, getattr(self, name)) for name in BESIDE_NE.values())
        return next(one for one in found if one[1] is not None)


@dataclass(frozen=True, slots=True)
class Judged:
    """Means over the seeds that a trial was trained with, of the best look of each, and their standard deviations."""

    num_seeds: int
    ne: float
    beside: float
    deviations: tuple[float, float] | None = None
    """Of NE and of what stands beside it; None of one seed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial: its looks, which are `num_looks` where nothing stops it, or a failure.

    `further` are the best looks that it came to with the seeds after the first.
    """

    number: int
    values: dict[str, Any]
    num_looks: int = 0
    looks: tuple[Look, ...] = ()
    failure: str = ""
    further: tuple[Look, ...] = ()

    @property
    def best(self) -> Look | None:
        """The look of the lowest NE; None where it failed, or was stopped before it looked."""
        return None if self.failure else min(self.looks, key=lambda look: look.ne, default=None)

    @property
    def judged(self) -> Judged | None:
        """What it is ranked by; None where it has no best look."""
        if self.best is None:
            return None
        of_seeds = (self.best, *self.further)
        nes, others = [look.ne for look in of_seeds], [look.beside[1] for look in of_seeds]
        deviations = (stdev(nes), stdev(others)) if self.further else None
        return Judged(len(of_seeds), fmean(nes), fmean(others), deviations)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sweep came to."""

    run_id: str
    identity: str
    tracking_uri: str
    stage: str
    best_trial: int
    best_ne: float
    """Of several seeds their mean."""
    outcomes: tuple[Outcome, ...]
    at_bounds: dict[str, float]
    """Keys whose best value lies at a bound of what they were drawn from, with that bound."""
    num_seeds: int = 1

    @property
    def winner(self) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.number == self.best_trial)

    @property
    def best(self) -> Judged:
        judged = self.winner.judged
        assert judged is not None
        return judged

    @property
    def beside_ne(self) -> str:
        """What the figure beside NE is called."""
        best = self.winner.best
        assert best is not None
        return HEADINGS[best.beside[0]]

    @property
    def came_to(self) -> str:
        """For the first line of the best config."""
        return f"trial {self.best_trial} of {len(self.outcomes)}, validation NE {in_words(self.best, '.6g')}"


def in_words(judged: Judged, form: str) -> str:
    """Its NE, in a format such as .4f, and of several seeds that it is a mean, of what spread."""
    ne = format(judged.ne, form)
    if judged.deviations is None:
        return ne
    return f"{ne}, the mean of {judged.num_seeds} seeds, with a deviation of {judged.deviations[0]:.2g}"


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Best first: by NE those that were trained with most seeds, then those of fewer, then those without a look.

    What one seed came to before it was stopped may be luck, and is held against no mean.
    """

    def place(outcome: Outcome) -> tuple[int, float]:
        judged = outcome.judged
        return (-judged.num_seeds, judged.ne) if judged else (0, 0.0)

    return sorted(outcomes, key=place)


def best_of(outcomes: Sequence[Outcome]) -> tuple[int, Judged]:
    """The number of the best trial, and what it is judged by. Raises Failure where none came to a look."""
    first = ranked(outcomes)[0]
    if first.judged:
        return first.number, first.judged
    failed = [outcome for outcome in outcomes if outcome.failure]
    if not failed:
        raise Failure("no trial came to a first look within the sweep's `seconds`")
    raise Failure(f"{len(failed)} of {len(outcomes)} trials failed, none succeeded; the first: {failed[0].failure}")


def axes(settings: SweepConfig, outcomes: Sequence[Outcome]) -> list[Axis]:
    """The keys with what was drawn for the trials that came to a look; each is called by what tells it from others."""
    looked = [outcome for outcome in outcomes if outcome.judged]
    names = suffixes(list(settings.space))
    return [
        _axis(name, values, [outcome.values[key] for outcome in looked])
        for name, (key, values) in zip(names, settings.space.items(), strict=True)
    ]


def plot(settings: SweepConfig, outcomes: Sequence[Outcome]) -> "Figure":
    """The trials that came to a look, of which there is one at least, as parallel coordinates."""
    looked = [(outcome, outcome.judged) for outcome in outcomes if outcome.judged]
    best, _ = best_of(outcomes)
    nes = [judged.ne for _, judged in looked]
    return plot_trials(axes(settings, outcomes), nes, [outcome.number for outcome, _ in looked].index(best))


def _axis(name: str, values: Values, drawn: Sequence[Any]) -> Axis:
    ticks = values.choice or values.bounds or ()
    shown = tuple((values.place(one), f"{one:g}" if isinstance(one, float) else str(one)) for one in ticks)
    return Axis(name, tuple(values.place(one) for one in drawn), shown)
