"""What became of a trial, and what a whole sweep came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.report.trials import Axis, plot_trials
from schemas.errors import Failure
from schemas.sweep import SweepConfig, Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the validation rows: after which step, and what was found."""

    step: int
    ne: float
    auc: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial: its looks, which are `num_looks` where nothing stops it, or a failure."""

    number: int
    values: dict[str, Any]
    num_looks: int = 0
    looks: tuple[Look, ...] = ()
    failure: str = ""

    @property
    def best(self) -> Look | None:
        """The look of the lowest NE; None where it failed, or was stopped before it looked."""
        return None if self.failure else min(self.looks, key=lambda look: look.ne, default=None)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sweep came to; `best_yaml` is the best trial's whole config, as `nightjar train` takes it."""

    run_id: str
    identity: str
    tracking_uri: str
    stage: str
    best_trial: int
    best_ne: float
    outcomes: tuple[Outcome, ...]
    best_yaml: str
    at_bounds: dict[str, float]
    """Keys whose best value lies at a bound of what they were drawn from, with that bound."""


def best_of(outcomes: Sequence[Outcome]) -> tuple[int, float]:
    """The number and the NE of the trial with the lowest one. Raises Failure where none came to a look."""
    best_nes = {outcome.number: outcome.best.ne for outcome in outcomes if outcome.best}
    if best_nes:
        best = min(best_nes, key=lambda number: best_nes[number])
        return best, best_nes[best]
    failed = [outcome for outcome in outcomes if outcome.failure]
    if not failed:
        raise Failure("no trial came to a first look within the sweep's `seconds`")
    raise Failure(f"{len(failed)} of {len(outcomes)} trials failed, none succeeded; the first: {failed[0].failure}")


def plot(settings: SweepConfig, outcomes: Sequence[Outcome]) -> "Figure":
    """The trials that came to a look, of which there is one at least, as parallel coordinates."""
    looked = [(outcome, outcome.best) for outcome in outcomes if outcome.best]
    nes = [look.ne for _, look in looked]
    own = f"stages.{settings.stage}."
    axes = [
        _axis(key.removeprefix(own), values, [outcome.values[key] for outcome, _ in looked])
        for key, values in settings.space.items()
    ]
    return plot_trials(axes, nes, nes.index(min(nes)))


def _axis(name: str, values: Values, drawn: Sequence[Any]) -> Axis:
    ticks = values.choice or values.bounds or ()
    shown = tuple((values.place(one), f"{one:g}" if isinstance(one, float) else str(one)) for one in ticks)
    return Axis(name, tuple(values.place(one) for one in drawn), shown)
