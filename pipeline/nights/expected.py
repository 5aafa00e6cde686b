"""What the stages of a night are to take: their days, rows, and seconds at the rates of nights before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.nights.plan import Tonight
from pipeline.nights.records import Night
from schemas.plan import lineages
from schemas.stage import StageConfig


@dataclass(frozen=True, slots=True)
class StageExpected:
    """A stage before it begins. `seconds` are those of its steps; None: no night has told its model's rate."""

    name: str
    model: str
    days: tuple[date, ...]
    num_rows: int
    seconds: float | None
    is_at_most: bool = False
    """It goes over a share of the negatives, and no night has told how many rows are clicks."""

    def in_words(self) -> str:
        span = f"{len(self.days)} days, {self.days[0]} to {self.days[-1]}"
        rows = f"{'at most ' * self.is_at_most}{self.num_rows:,} rows"
        passes_over = f"{rows} of {span}" if self.num_rows else f"what its time buys of {span}"
        return passes_over if self.seconds is None else f"{passes_over}: about {self.seconds:.1f} s"


def expected(tonight: Tonight, nights: Sequence[Night]) -> list[StageExpected]:
    """The stages that are trained before the verdict, in their order; `nights` are those before, the oldest first.

    Rows are the log's, over all passes, without those kept back for validation. How many are negatives, of which only a
    share may be trained on, goes by the held-out rows of the newest night.
    """
    rates = {model: rate for night in nights for model, rate in night.rates.items()}
    click_rates = [night.candidate["base_rate"] for night in nights if "base_rate" in night.candidate]
    config = tonight.config
    found: list[StageExpected] = []
    for stage in tonight.stages:
        if stage.days == "affordable":
            found.append(_bought(stage, found, tonight))
            continue
        days = config.span_of(stage).of(tonight.inputs.train_days)
        of_log = tonight.inputs.manifest.of_days(days).num_rows
        negative_share = config.data.negative_share * stage.negative_share
        clicks = click_rates[-1] if click_rates else 1.0  # that all are is what leaves the most rows
        share_kept = clicks + (1 - clicks) * negative_share
        num_rows = round(of_log * (1 - config.data.validation_share) * share_kept * stage.epochs)
        rate = rates.get(stage.model)
        seconds = num_rows / rate if rate else None
        is_at_most = negative_share < 1 and not click_rates
        found.append(StageExpected(stage.name, stage.model, days, num_rows, seconds, is_at_most))
    return found


def _bought(control: StageConfig, found: Sequence[StageExpected], tonight: Tonight) -> StageExpected:
    """What takes as long as the stage whose control it is, with those before it; on how many days nobody knows yet."""
    earlier = lineages(tonight.config.stages)[control.control_of or ""]
    seconds = [one.seconds for one in found if one.name in (control.control_of, *earlier)]
    total = None if None in seconds else sum(one or 0.0 for one in seconds)
    return StageExpected(control.name, control.model, tonight.inputs.train_days, 0, total)


def time_in_words(stages: Sequence[StageExpected], nights: Sequence[Night]) -> str:
    """Of all stages together, and by which night's rates; or what is not known."""
    unknown = dict.fromkeys(stage.model for stage in stages if stage.seconds is None)
    if unknown:
        return f"not known: no night has told how fast {', '.join(unknown)} goes here"
    if not stages:
        return "none"
    newest = next(night for night in reversed(nights) if night.rates)
    seconds = sum(stage.seconds or 0.0 for stage in stages)
    return f"about {seconds:.1f} s in the stages' steps, by the rates of the night of {newest.day}"
