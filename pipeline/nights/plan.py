"""What tonight would do on its days: from which model it would start, and what it would train. Nothing is begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pipeline.data.split import ResolvedSplit
from pipeline.nights.days import Days, with_days
from pipeline.registry import model_uri, versions
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain import defaults, disk, stage_days, warm_start
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.disk import DiskNeed
from pipeline.retrain.opponent import check_target
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.days import SomeDays
from schemas.defaults import as_it_was
from schemas.errors import Refusal
from schemas.plan import lineages
from schemas.stage import WARM, ControlConfig, StageConfig

Start = Literal["warm", "cold", "both", "none"]


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

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """That are trained before the verdict."""
        return () if self.start == "none" else self.config.plan

    @property
    def new_fields(self) -> tuple[str, ...]:
        """Those of the config that the champion does not know, where it goes on."""
        is_going_on = self.bundle and self.start in ("warm", "both")
        return warm_start.new_fields(self.bundle.spec, self.config.data.features) if self.bundle and is_going_on else ()

    @property
    def disk_need(self) -> DiskNeed:
        """By the champion's ids, to which the night adds a few."""
        num_ids = self.bundle.vocabulary.num_ids if self.bundle else None
        return disk.need(self.config, self.inputs, self.stages, num_ids, refresh=self.config.night.refresh)


def plan(days: Days, tracking: Tracking | None) -> Tonight:
    """What is to be done on these days, as the champion stands; where nothing has been recorded yet there is none.

    Raises Refusal if the champion has learned the held-out days, or tells another label.
    """
    config = days.config
    champion = versions.to_beat(tracking, config.mlflow.registered_model, days.keys) if tracking else None
    bundle = model_uri.load_bundle(tracking, champion.uri) if tracking and champion else None
    if champion and bundle:
        check_target(champion, bundle.spec, config)
    _require_unseen(champion, bundle, days.held_out)
    start, why, new = _how_to_start(config, bundle, days.window)
    train_days = tuple(new) if start == "warm" else (*days.history, *days.window)
    learned_before = bundle.contents.origin.training_days if bundle and start in ("warm", "both") else ()
    manifest = days.manifest.of_days([*train_days, *days.held_out])
    own = _own_config(days, champion, bundle, start, new)
    stage_days.require(own, train_days)
    inputs = Inputs(manifest, ResolvedSplit(train_days, days.held_out), days.key, learned_before)
    return Tonight(
        days=days,
        config=defaults.completed(own, inputs)[0],
        inputs=inputs,
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
    if config.night.transfer.dense and (stage.mlp, stage.members) != (bundle.stage.mlp, bundle.stage.members):
        return f"stage {stage.name!r} has other layers than the champion"
    return ""


def _stage_like(config: TrainConfig, bundle: Bundle) -> StageConfig | None:
    return next((stage for stage in config.stages if stage.model == bundle.stage.model), None)


def _own_config(
    days: Days, champion: Version | None, bundle: Bundle | None, start: Start, new: Sequence[date]
) -> TrainConfig:
    """What a warm start trains is the champion's stage alone, or that one first."""
    config = days.config
    if start not in ("warm", "both"):
        return derived(config, stages=_over_history(config.stages, days))
    assert champion
    assert bundle
    stage = _stage_like(config, bundle)
    assert stage
    going_on = derived(
        as_it_was(stage, bundle.stage),
        name=WARM,
        init_from=champion.uri,
        transfer=config.night.transfer,
        control=ControlConfig(),
        control_of=None,
        **({"epochs": config.night.epochs} if config.night.epochs else {}),
        days=SomeDays(last=len(new)) if start == "both" else "all",
    )
    stages = (going_on, *_over_history(config.stages, days)) if start == "both" else (going_on,)
    dated = config if start == "both" else with_days(config, new, days.held_out)
    return derived(dated, stages=stages, control=False)


def _over_history(stages: Sequence[StageConfig], days: Days) -> tuple[StageConfig, ...]:
    """With the window for the stages that ask for all days, and what comes before it for the first of these stages.

    First is what starts from nothing and others start from.
    """
    if not days.history:
        return tuple(stages)
    comes_from = lineages(stages)
    first = {earlier[-1] for earlier in comes_from.values() if earlier}
    window = SomeDays(last=len(days.window))
    own = {
        stage.name: derived(stage, days=window) if stage.days == "all" and stage.name not in first else stage
        for stage in stages
    }
    for name in first:
        later = tuple(one for one, earlier in comes_from.items() if name in earlier and _is_newest(own[one]))
        if own[name].days == "all" and not own[name].init_from and later:
            own[name] = derived(own[name], days=SomeDays(before=later))
    return tuple(own.values())


def _is_newest(stage: StageConfig) -> bool:
    return not isinstance(stage.days, str) and stage.days.last is not None
