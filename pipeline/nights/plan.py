"""What tonight would do: which days, from which model, by which name. Only footers and the registry are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pipeline.data import logs, split
from pipeline.data.logs import Manifest
from pipeline.data.split import ResolvedSplit
from pipeline.registry import model_uri, versions
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain import warm_start
from pipeline.retrain.dataset import Inputs, identity_of
from pipeline.runtime import files
from schemas.checking import derived
from schemas.config import DateSplit, TrainConfig
from schemas.errors import Refusal
from schemas.stage import REFRESH, WARM, ControlConfig, StageConfig

Start = Literal["warm", "cold", "both", "none"]


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a night, and the name that they give it."""

    day: date
    window: tuple[date, ...]
    """May be trained on."""
    held_out: tuple[date, ...]
    trailing: tuple[date, ...]
    """The new ones are held against these."""
    missing: tuple[date, ...]
    """Calendar days from the first of the window on that the log does not have."""
    manifest: Manifest
    """Of the window and the held-out days."""
    config: TrainConfig
    """The user's, with the days that it asks for in place of its split."""
    key: str
    """Same config, log, code and day, same key."""

    @property
    def keys(self) -> tuple[str, str]:
        """What the models that the night registers go by: the candidate, and the same when it has learned the day."""
        return self.key, f"{self.key}-{REFRESH}"


@dataclass(frozen=True, slots=True)
class Tonight:
    """A night before it begins."""

    days: Days
    config: TrainConfig
    """What is trained, on which days."""
    inputs: Inputs
    champion: Version | None
    bundle: Bundle | None
    """The champion's."""
    start: Start
    """none: there is no day that the champion has not learned."""
    why: str
    """It starts so, in words."""


def choose_days(config: TrainConfig, day: date | None) -> Days:
    """Of the newest complete day, where no `day` is given. Raises Refusal for what stands in the way."""
    data = config.data
    days = logs.days_of(data.logs_uri, data.features)
    if not isinstance(data.split, DateSplit):
        raise Refusal(
            found="a random split",
            expected="a split by date: a night holds out its newest day",
            where="data.split.by",
            remedy="leave data.split away, or train with `nightjar train`",
        )
    day = day or newest_complete(config, days)
    split.require([day], days, data.logs_uri)
    if not _is_complete(config, day):
        raise _incomplete(config, day)
    held_out = [one for one in days if _period(config, one) == _period(config, day) and one <= day]
    before = [one for one in days if one < held_out[0]]
    window = [one for one in before if one >= held_out[0] - timedelta(config.night.window_days)]
    _require_window(window, held_out, config)
    manifest = logs.find(data.logs_uri, [*window, *held_out], data.features)
    dated = _with_days(config, window, held_out)
    return Days(
        day=day,
        window=tuple(window),
        held_out=tuple(held_out),
        trailing=tuple(before[-config.night.quality.trailing_days :]),
        missing=_missing(days, window[0], day),
        manifest=manifest,
        config=dated,
        key=identity_of(dated, manifest),
    )


def plan(days: Days, tracking: Tracking) -> Tonight:
    """What is to be done on these days, as the champion stands. Raises Refusal if it has learned the held-out ones."""
    config = days.config
    champion = versions.to_beat(tracking, config.mlflow.registered_model, days.keys)
    bundle = None if champion is None else model_uri.load_bundle(tracking, champion.uri)
    _require_unseen(champion, bundle, days.held_out)
    start, why, new = _how_to_start(config, bundle, days.window)
    train_days = tuple(new) if start == "warm" else days.window
    learned_before = bundle.contents.origin.training_days if bundle and start in ("warm", "both") else ()
    manifest = days.manifest.of_days([*train_days, *days.held_out])
    return Tonight(
        days=days,
        config=_own_config(days, champion, bundle, start, new),
        inputs=Inputs(manifest, ResolvedSplit(train_days, days.held_out), days.key, learned_before),
        champion=champion,
        bundle=bundle,
        start=start,
        why=why,
    )


def again(tonight: Tonight, tracking: Tracking) -> Tonight:
    """The plan as it is now: the same, unless the champion has changed since it was made."""
    model, champion = tonight.config.mlflow.registered_model, tonight.champion
    now = versions.to_beat(tracking, model, tonight.days.keys)
    is_same = (now and now.uri) == (champion and champion.uri)
    return tonight if is_same else plan(tonight.days, tracking)


def newest_complete(config: TrainConfig, days: Sequence[date]) -> date:
    """Raises Refusal where no day is."""
    complete = [day for day in days if _is_complete(config, day)]
    if not complete:
        raise _incomplete(config, max(days))
    return max(complete)


def _is_complete(config: TrainConfig, day: date) -> bool:
    if config.night.complete == "success_file":
        return files.is_complete(_folder(config, day))
    return day + timedelta(config.night.label_delay_days) <= datetime.now(UTC).date()


def _incomplete(config: TrainConfig, day: date) -> Refusal:
    by_file = config.night.complete == "success_file"
    return Refusal(
        found=f"{day} without a {files.SUCCESS} file" if by_file else f"{day}, whose labels may still be on their way",
        expected=f"a {files.SUCCESS} file in the day's folder, written last"
        if by_file
        else f"a day that ended {config.night.label_delay_days} day(s) ago",
        where=_folder(config, day),
        remedy="ask again when the day is whole, or change night.complete and night.label_delay_days",
    )


def _folder(config: TrainConfig, day: date) -> str:
    return f"{config.data.logs_uri}/{config.data.features.partition}={day}"


def _period(config: TrainConfig, day: date) -> tuple[int, ...]:
    return (day.year, day.month) if config.night.period == "month" else (day.year, day.month, day.day)


def _require_window(window: Sequence[date], held_out: Sequence[date], config: TrainConfig) -> None:
    if not window:
        raise Refusal(
            found=f"no day in the {config.night.window_days} days before {held_out[0]}",
            expected="at least one day to train on",
            where=config.data.logs_uri,
            remedy="ask for a later date, or widen night.window_days",
        )


def _require_unseen(champion: Version | None, bundle: Bundle | None, held_out: Sequence[date]) -> None:
    """Nothing can be compared on a day that the champion was trained on."""
    learned = bundle.contents.origin.training_days if bundle else ()
    if champion and learned and max(learned) >= held_out[0]:
        raise Refusal(
            found=f"champion {champion.uri}, which has learned {max(learned)}",
            expected=f"a champion that has not seen {held_out[0]}, which it is to be judged on",
            where="the night's date",
            remedy="ask for a later date; to go back in time, move the alias champion to an older version first",
        )


def _how_to_start(config: TrainConfig, bundle: Bundle | None, window: Sequence[date]) -> tuple[Start, str, list[date]]:
    """The start, why, and the days of the window that the champion has not learned."""
    if bundle is None:
        return "cold", "there is no champion yet", []
    wanted = config.night.start
    if wanted == "cold":
        return "cold", "night.start is cold", []
    why_not = _why_not_warm(config, bundle)
    if why_not:
        return "cold", why_not, []
    last = max(bundle.contents.origin.training_days)
    new = [day for day in window if day > last]
    if not new and wanted == "warm":
        return "none", f"the champion has learned all days up to {last}", []
    if not new:
        return "cold", f"the champion has learned all days up to {last}", []
    return wanted, f"the champion has learned the days up to {last}", new


def _why_not_warm(config: TrainConfig, bundle: Bundle) -> str:
    """What keeps the champion from being trained on; empty if nothing does."""
    try:
        warm_start.check("the champion", bundle, config)
    except Refusal as refusal:
        return f"found {refusal.found}; expected {refusal.expected}"
    stage = _stage_like(config, bundle)
    if stage is None:
        return f"the champion is a {bundle.stage.model}, which no stage of the config trains"
    if config.night.transfer.dense and stage.mlp != bundle.stage.mlp:
        return f"stage {stage.name!r} has other layers than the champion"
    return ""


def _stage_like(config: TrainConfig, bundle: Bundle) -> StageConfig | None:
    return next((stage for stage in config.stages if stage.model == bundle.stage.model), None)


def _with_days(config: TrainConfig, train_days: Sequence[date], held_out: Sequence[date]) -> TrainConfig:
    own = DateSplit(test_dates=tuple(held_out), train_from=train_days[0], train_to=train_days[-1])
    return derived(config, data=derived(config.data, split=own))


def _own_config(
    days: Days, champion: Version | None, bundle: Bundle | None, start: Start, new: Sequence[date]
) -> TrainConfig:
    """What a warm start trains is the champion's stage alone, or that one first."""
    config = days.config
    if start not in ("warm", "both"):
        return config
    assert champion
    assert bundle
    stage = _stage_like(config, bundle)
    assert stage
    going_on = derived(
        stage,
        name=WARM,
        init_from=champion.uri,
        transfer=config.night.transfer,
        control=ControlConfig(),
        control_of=None,
        epochs=config.night.epochs or stage.epochs,
        last_days=len(new) if start == "both" else None,
    )
    stages = (going_on, *config.stages) if start == "both" else (going_on,)
    dated = config if start == "both" else _with_days(config, new, days.held_out)
    return derived(dated, stages=stages, control=False)


def _missing(days: Sequence[date], first: date, last: date) -> tuple[date, ...]:
    calendar = (first + timedelta(i) for i in range((last - first).days + 1))
    return tuple(day for day in calendar if day not in set(days))
