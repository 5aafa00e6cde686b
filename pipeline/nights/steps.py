"""The steps of a night at work, in their order: look, judge the champion, train, decide, serve."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.data import logs
from pipeline.data.left_aside import in_words
from pipeline.data.split import ResolvedSplit
from pipeline.data.unknown_classes import classes_in_words
from pipeline.evaluation import gate
from pipeline.evaluation.baselines import Baseline
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.intervals import intervals
from pipeline.evaluation.row_sums import Constant
from pipeline.evaluation.verdict import Reason
from pipeline.nights.plan import Tonight
from pipeline.nights.progress import Looks
from pipeline.profiles import bounds, profiler
from pipeline.profiles.pool import pooled, pools
from pipeline.registry import versions
from pipeline.registry.golden import Host
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import REFRESHED_FROM, VERDICT
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain import promotion
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.judging import candidate_of, plot
from pipeline.retrain.opponent import Opponent
from pipeline.retrain.promotion import COMPARABLE, Candidate, Decision
from pipeline.retrain.run import prepare, train
from pipeline.retrain.trained import Trained
from pipeline.runtime.lease import Lease
from pipeline.runtime.progress import Clock
from schemas.checking import derived
from schemas.config import DateSplit, TrainConfig
from schemas.errors import Failure
from schemas.stage import REFRESH

BREACHES = "breaches.txt"


@dataclass(frozen=True, slots=True)
class NightRun:
    """A night at work."""

    config: TrainConfig
    tonight: Tonight
    tracking: Tracking
    run: Retrain
    lease: Lease
    clock: Clock
    host: Host


def inspect(night: NightRun) -> Looks:
    """Profile the held-out days together and those before them, and hold them against their bounds."""
    config, tonight = night.config, night.tonight
    with night.clock.step("look at the day") as note:
        data = config.data
        trailing = logs.find(data, tonight.days.trailing)
        known = tonight.bundle.vocabulary if tonight.bundle else None
        held_out = tonight.days.manifest.of_days(tonight.days.held_out)
        before = profiler.profile_days(trailing, data, config.work_uri)
        new = pooled(profiler.profile_days(held_out, data, config.work_uri, known))
        earlier = profiler.kept_profiles(tonight.days.earlier, data, config.work_uri)
        pools_before = pools(before, new.num_days)
        found = bounds.breaches(new, [*pools(earlier, new.num_days), *pools_before], config.night.quality)
        looks = Looks(tuple(before), tuple(pools_before), new, tuple(found))
        unusual = [f"unusual: {words}" for words in looks.summed_up("unusual")]
        note("; ".join([*looks.summed_up("broken"), *unusual]) or "within its bounds")
        left_aside = {*trailing.left_aside, *tonight.days.manifest.left_aside}
        if left_aside:
            note(in_words([*left_aside]))
    night.run.log_text("profiles.json", f"[{new.model_dump_json()}]")
    if looks.breaches:
        night.run.log_text(BREACHES, looks.in_full)
    return looks


def validate_progressively(night: NightRun) -> Opponent:
    """Yesterday's champion on the new rows, before anything learns from them."""
    tonight = night.tonight
    with night.clock.step("score with champion") as note:
        opponent = Opponent()
        if tonight.champion is not None and tonight.bundle is not None:
            opponent = Opponent.scored(tonight.champion, tonight.bundle, tonight.config, tonight.inputs)
        if opponent.held_out is not None and opponent.version is not None:
            metrics = opponent.held_out.sums.metrics()
            night.run.log_final("progressive", metrics.as_dict())
            told = f"NE {metrics.ne:.4f} of {opponent.version.uri}" if metrics.ne is not None else "NE is undefined"
            note("; ".join(filter(None, [told, classes_in_words(opponent.unknown_classes)])))
        else:
            note(opponent.why_not or "there is none yet")
    return opponent


def train_tonight(night: NightRun) -> Trained | None:
    """None where there is nothing to learn."""
    if night.tonight.start == "none":
        return None
    prepared = prepare(night.tonight.config, night.tonight.inputs, night.tracking)
    with night.clock.step("train"):
        trained = train(prepared, night.run, night.clock, night.host)
    night.run.log_best(trained.best.name, trained.results[trained.best.name])
    return trained


def decide(night: NightRun, looks: Looks, opponent: Opponent, trained: Trained | None) -> Decision:
    with night.clock.step("decide") as note:
        constant = _constant(night, looks, trained)
        if trained is not None:
            with night.clock.unshown("register"):
                registered = promotion.register(candidate_of(trained), night.run, night.tonight.days.key, night.host)
            with night.clock.unshown("draw the figures"):  # while it is tried
                plot(trained, night.run)
            decision = promotion.decide(registered, opponent, night.tonight.config, night.tracking, constant)
            promotion.log_unregistered(night.run, trained.results, trained.prepared.run_uri)
        else:
            decision = _champion_goes_on(night, opponent, constant)
        note(decision.verdict.reason)
    return decision


def _constant(night: NightRun, looks: Looks, trained: Trained | None) -> Constant | None:
    """Of the window's days, which a warm start has not all learned tonight, as far as they were looked at.

    Their profiles count clicks and rows; where rows carry weights, or are of another objective, it is that of the rows
    learned tonight.
    """
    days = [day for day in looks.days_before if day.day in night.tonight.days.window]
    spec, rows = night.config.data.features, sum(day.rows for day in days)
    if spec.objective == "binary" and spec.weight is None and rows:
        return sum(day.positives or 0 for day in days) / rows
    return trained.constant if trained else None


def _champion_goes_on(night: NightRun, opponent: Opponent, constant: Constant | None) -> Decision:
    """The champion itself as the candidate: fit to learn the new days, where the config lets it, if fit at all."""
    assert opponent.version
    assert opponent.bundle
    if opponent.held_out is None:
        raise Failure(opponent.why_not)
    sums, confidence = opponent.held_out.sums, night.config.night.gate.confidence
    baseline = Baseline.of(sums, constant, confidence)
    evidence = Evidence(sums.metrics(), bounds=intervals(sums, confidence), baseline=baseline)
    ne = evidence.candidate.ne
    words = f"{night.tonight.why}; it has NE {'undefined' if ne is None else format(ne, '.4f')} on the new rows"
    refresh = night.config.night.refresh
    goes_on = Reason(COMPARABLE, refresh, words, f"night.refresh: {str(refresh).lower()}")
    verdict = gate.decide(evidence, night.config.night.gate).judging(goes_on)
    return Decision(opponent.version, opponent.bundle, opponent.held_out, evidence, verdict)


def serve(night: NightRun, decision: Decision) -> tuple[Version | None, Trained | None]:
    """Move `champion`, to the accepted candidate or to what it becomes when it has learned the day.

    Who serves now, and that last training.
    """
    if not decision.verdict.promote:
        return versions.champion(night.tracking, night.config.mlflow.registered_model), None
    version, refreshed = decision.version, None
    if night.config.night.refresh:
        with night.clock.step("learn the day") as note:
            version, refreshed = _refresh(night, decision, note)
    night.lease.check()
    versions.promote(night.tracking, version)
    return version, refreshed


def _refresh(night: NightRun, decision: Decision, note: Callable[[str], None]) -> tuple[Version, Trained]:
    """The candidate after one more pass over the held-out days; itself, where that has made it unfit."""
    night.host.start()
    config, inputs = night.config, night.tonight.inputs
    days = inputs.test_days
    stage = derived(
        decision.bundle.stage,
        name=REFRESH,
        init_from=decision.version.uri,
        transfer=config.night.transfer,
        epochs=config.night.epochs or decision.bundle.stage.epochs,
        days="all",
        early_stop=None,
        control_of=None,
    )
    split = DateSplit(train_from=days[0], train_to=days[-1])
    data = derived(config.data, split=split)
    learning = derived(config, data=data, stages=(stage,), control=False)
    learned_before = decision.bundle.contents.origin.training_days
    own = Inputs(inputs.manifest.of_days(days), ResolvedSplit(days, ()), night.tonight.days.key, learned_before)
    trained = train(prepare(learning, own, night.tracking), night.run, night.clock, night.host)
    prepared = trained.prepared
    candidate = Candidate(prepared.config, prepared.inputs, trained.store, stage, prepared.run_uri)
    registered = promotion.register(candidate, night.run, night.tonight.days.keys[1], night.host)
    sums, before = registered.held_out.sums, decision.evidence.baseline
    baseline = Baseline.of(sums, before.constant if before else None, config.night.gate.confidence)
    evidence = Evidence(sums.metrics(), baseline=baseline, golden_difference=registered.tried())
    verdict = gate.decide(evidence, config.night.gate)
    words = f"{decision.version.uri} after it has learned {days[-1]}; before that, {decision.verdict.reason}"
    versions.set_tags(night.tracking, registered.version, {VERDICT: words, REFRESHED_FROM: decision.version.uri})
    note(f"{registered.version.uri}" if verdict.promote else f"left away: {verdict.reason}")
    return registered.version if verdict.promote else decision.version, trained
