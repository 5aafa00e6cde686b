"""Which days a night is about, and the name that they give it. Only listings and footers of the log are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.data import logs, split
from pipeline.data.logs import Manifest
from pipeline.nights.complete import held_out_with, newest_complete, why_incomplete
from pipeline.retrain.dataset import identity_of
from schemas.checking import derived
from schemas.config import DataConfig, DateSplit, TrainConfig
from schemas.errors import Refusal
from schemas.stage import REFRESH


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a night, and the name that they give it."""

    day: date
    window: tuple[date, ...]
    """May be trained on."""
    history: tuple[date, ...]
    """Before the window; a cold start's alone."""
    held_out: tuple[date, ...]
    trailing: tuple[date, ...]
    """The new ones are held against these, as many together as are held out."""
    earlier: tuple[date, ...]
    """And these against those: what a shift usually is."""
    missing: tuple[date, ...]
    """Calendar days from the first of the history or window on that the log does not have."""
    manifest: Manifest
    """The files of all but the trailing and earlier days."""
    config: TrainConfig
    """The user's, with the days that it asks for in place of its split."""
    key: str
    """Same config, log, code and day, same key."""

    @property
    def keys(self) -> tuple[str, str]:
        """What the models that the night registers go by: the candidate, and the same when it has learned the day."""
        return self.key, f"{self.key}-{REFRESH}"


def choose_days(config: TrainConfig, day: date | None) -> Days:
    """The days of the night of `day`, or of the newest complete day. Raises Refusal for what stands in the way."""
    data, night = config.data, config.night
    listing = logs.look(data)
    days = listing.days
    _require_movable(data)
    day = day or newest_complete(listing, data, night)
    split.require([day], days, data.logs_uri)
    if refusal := why_incomplete(day, listing, data, night):
        raise refusal
    held_out = held_out_with(day, days, config)
    before = [one for one in days if one < held_out[0]]
    begins = days_before(held_out[0], night.window_days)
    window = [one for one in before if one >= begins]
    _require_window(window, held_out[0], config)
    history = [one for one in before if days_before(begins, night.history_days or 0) <= one < begins]
    trained_on = [*history, *window]
    manifest = logs.find(data, [*trained_on, *held_out])
    dated = with_days(config, trained_on, held_out)
    number = night.quality.trailing_days * len(held_out)
    return Days(
        day=day,
        window=tuple(window),
        history=tuple(history),
        held_out=tuple(held_out),
        trailing=tuple(before[-number:]),
        earlier=tuple(before[-2 * number : -number]),
        missing=_missing(days, trained_on[0], day),
        manifest=manifest,
        config=dated,
        key=identity_of(dated, manifest),
    )


def days_before(day: date, num_days: int) -> date:
    """The calendar day so many days earlier, or the first that there is."""
    return date.fromordinal(max(1, day.toordinal() - num_days))


def with_days(config: TrainConfig, train_days: Sequence[date], held_out: Sequence[date]) -> TrainConfig:
    """The config with a split of these days in place of its own."""
    own = DateSplit(test_dates=tuple(held_out), train_from=train_days[0], train_to=train_days[-1])
    return derived(config, data=derived(config.data, split=own))


def _require_movable(data: DataConfig) -> None:
    """Raise Refusal for a split that cannot move on with the night."""
    if not isinstance(data.split, DateSplit):
        raise Refusal(
            found="a random split",
            expected="a split by date: a night holds out its newest day",
            where="data.split.by",
            remedy="leave data.split away, or train with `nightjar train`",
        )
    if data.split.validation_dates:
        raise Refusal(
            found=f"validation days, {', '.join(map(str, data.split.validation_dates))}",
            expected="none: the days of a night move on with it",
            where="data.split.validation_dates",
            remedy="set data.validation_share instead, or train with `nightjar train`",
        )


def _require_window(window: Sequence[date], first_held_out: date, config: TrainConfig) -> None:
    if not window:
        raise Refusal(
            found=f"no day in the {config.night.window_days} days before {first_held_out}",
            expected="at least one day to train on",
            where=config.data.logs_uri,
            remedy="ask for a later date, or widen night.window_days",
        )


def _missing(days: Sequence[date], first: date, last: date) -> tuple[date, ...]:
    calendar = (first + timedelta(i) for i in range((last - first).days + 1))
    return tuple(day for day in calendar if day not in set(days))
