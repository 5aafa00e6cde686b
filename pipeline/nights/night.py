"""The night, as a list of calls: look at the day, judge the champion on it, train, decide, serve, and say so."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from pipeline.data import logs
from pipeline.data.log_listing import in_words
from pipeline.data.split import ResolvedSplit
from pipeline.evaluation import gate
from pipeline.evaluation.gate import Evidence, Reason
from pipeline.nights import over, page, plan, records
from pipeline.nights.days import Days, choose_days
from pipeline.nights.over import Over
from pipeline.nights.plan import Tonight
from pipeline.nights.progress import Looks, NightProgress
from pipeline.nights.records import Night
from pipeline.profiles import bounds, profiler
from pipeline.registry import versions
from pipeline.registry.tags import REFRESHED_FROM, VERDICT
from pipeline.registry.tracking import Retrain, Tracking, connect
from pipeline.registry.versions import Version
from pipeline.retrain import promotion
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.promotion import COMPARABLE, Candidate, Decision, Opponent
from pipeline.retrain.run import Trained, candidate_of, prepare, record_best, train
from pipeline.runtime import cluster
from pipeline.runtime.lease import Lease
from pipeline.runtime.progress import Event, Show
from pipeline.training.on_ray import trainer
from schemas.checking import derived
from schemas.config import DateSplit, TrainConfig
from schemas.errors import Failure, Refusal, Stopped
from schemas.redaction import redacted
from schemas.stage import REFRESH


def nightly(config: TrainConfig, day: date | None, show: Show, again: bool = False) -> Over:
    """Everything of one night; of the newest complete day where none is given.

    The night of a day that was asked for before returns what it came to, under whatever config that was; an unfinished
    one goes on. `again`: only what was done under this very config is returned. Raises Refusal before anything is
    begun, Busy where another night is at work on the same model, Stopped where the day's data breaks its bounds.
    Whatever it raises, the champion that served before still serves.
    """
    tracking = connect(config.mlflow, config.work_uri)
    days = choose_days(config, day)
    before = over.find(config, days)
    if before and not before.rewritten and not (again and before.night.key != days.key):
        note = "; ".join(filter(None, [before.night.verdict, before.words]))
        show(Event(f"the night of {days.day} is over already", 1, 1, note))
        return before
    tonight = _planned(days, before, tracking)
    with promotion.lease_of(config, f"night of {days.day}") as lease, cluster.connected(config.cluster):
        tonight = plan.again(tonight, tracking)  # another night may have ended since
        trainer.check_placement(config.cluster)
        name = f"{days.day} {days.key[:6]}"
        with tracking.retrain(days.key, name, config, days.manifest.to_json()) as run:
            night = _work(NightRun(config, tonight, tracking, run, lease, show))
        records.write(config, night)
    return Over(night)


def _planned(days: Days, before: Over | None, tracking: Tracking) -> Tonight:
    """The plan. Where it is refused for a day whose night is over, the exception's note says what has changed since."""
    try:
        return plan.plan(days, tracking)
    except Refusal as refusal:
        if before and before.rewritten:
            written = ", ".join(map(str, before.rewritten))
            refusal.add_note(f"the night of {days.day} is over, but the log of {written} was written anew since")
        elif before:
            refusal.add_note(f"the night of {days.day} is over: {before.night.outcome}, {before.words}")
        raise


@dataclass(frozen=True, slots=True)
class NightRun:
    """A night at work."""

    config: TrainConfig
    tonight: Tonight
    tracking: Tracking
    run: Retrain
    lease: Lease
    show: Show
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Shown as it begins and ends, and timed; what is called with a note shows that at the end."""
        notes: list[str] = []
        self.show(Event(name, 0, 1))
        began = time.monotonic()
        yield notes.append
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
        self.show(Event(name, 1, 1, "; ".join(notes)))


def _work(night: NightRun) -> Night:
    looks = _inspect(night)
    if looks.words("broken") and night.config.night.quality.on_breach == "stop":
        raise _stop(night, NightProgress(night.tonight, looks, serves=night.tonight.champion))
    opponent = _validate_progressively(night)
    trained = _train(night)
    decision = _decide(night, opponent, trained)
    serves, refreshed = _serve(night, decision)
    return _conclude(night, NightProgress(night.tonight, looks, opponent, trained, decision, refreshed, serves))


def _inspect(night: NightRun) -> Looks:
    """Profile the held-out days and those before them, and hold each against its bounds."""
    config, tonight = night.config, night.tonight
    with night.step("look at the day") as note:
        data = config.data
        trailing = logs.find(data.logs_uri, tonight.days.trailing, data.features, unknown_columns=data.unknown_columns)
        known = tonight.bundle.vocabulary if tonight.bundle else None
        held_out = tonight.days.manifest.of_days(tonight.days.held_out)
        before = profiler.profile_days(trailing, data, config.work_uri)
        new = profiler.profile_days(held_out, data, config.work_uri, known)
        earlier = profiler.kept_profiles(tonight.days.earlier, data, config.work_uri)
        found = bounds.breaches(new, [*earlier, *before], config.night.quality)
        looks = Looks(tuple(before), tuple(new), tuple(found))
        unusual = [f"unusual: {words}" for words in looks.words("unusual")]
        note("; ".join([*looks.words("broken"), *unusual]) or "within its bounds")
        left_aside = {*trailing.left_aside, *tonight.days.manifest.left_aside}
        if left_aside:
            note(in_words([*left_aside]))
    night.run.log_text("profiles.json", "[" + ",\n".join(one.model_dump_json() for one in new) + "]")
    return looks


def _validate_progressively(night: NightRun) -> Opponent:
    """Yesterday's champion on the new rows, before anything learns from them."""
    tonight = night.tonight
    with night.step("score with champion") as note:
        opponent = Opponent()
        if tonight.champion is not None and tonight.bundle is not None:
            opponent = Opponent.scored(tonight.champion, tonight.bundle, tonight.config, tonight.inputs)
        if opponent.held_out is not None and opponent.version is not None:
            metrics = opponent.held_out.sums.metrics()
            night.run.log_final("progressive", metrics.as_dict())
            note(f"NE {metrics.ne:.4f} of {opponent.version.uri}" if metrics.ne else "one class only")
        else:
            note(opponent.why_not or "there is none yet")
    return opponent


def _train(night: NightRun) -> Trained | None:
    """None where there is nothing to learn."""
    if night.tonight.start == "none":
        return None
    prepared = prepare(night.tonight.config, night.tonight.inputs, night.tracking)
    with night.step("train"):
        trained = train(prepared, night.run, night.show)
    record_best(trained, night.run)
    return trained


def _decide(night: NightRun, opponent: Opponent, trained: Trained | None) -> Decision:
    with night.step("decide") as note:
        if trained is not None:
            registered = promotion.register(candidate_of(trained), night.run, night.tonight.days.key)
            decision = promotion.decide(registered, opponent, night.tonight.config, night.tracking)
        else:
            decision = _champion_goes_on(night, opponent)
        note(decision.verdict.reason)
    return decision


def _champion_goes_on(night: NightRun, opponent: Opponent) -> Decision:
    """The champion itself as the candidate: fit to learn the new days, where the config lets it, if fit at all."""
    assert opponent.version
    assert opponent.bundle
    if opponent.held_out is None:
        raise Failure(opponent.why_not)
    evidence = Evidence(opponent.held_out.sums.metrics())
    ne = evidence.candidate.ne
    words = f"{night.tonight.why}; it has NE {'undefined' if ne is None else format(ne, '.4f')} on the new rows"
    goes_on = Reason(COMPARABLE, night.config.night.refresh, words)
    verdict = gate.decide(evidence, night.config.night.gate).judging(goes_on)
    return Decision(opponent.version, opponent.bundle, opponent.held_out, evidence, verdict)


def _serve(night: NightRun, decision: Decision) -> tuple[Version | None, Trained | None]:
    """Move `champion`, to the accepted candidate or to what it becomes when it has learned the day.

    Who serves now, and that last training.
    """
    if not decision.verdict.promote:
        return versions.champion(night.tracking, night.config.mlflow.registered_model), None
    version, refreshed = decision.version, None
    if night.config.night.refresh:
        with night.step("learn the day") as note:
            version, refreshed = _refresh(night, decision, note)
    night.lease.check()
    versions.promote(night.tracking, version)
    return version, refreshed


def _refresh(night: NightRun, decision: Decision, note: Callable[[str], None]) -> tuple[Version, Trained]:
    """The candidate after one more pass over the held-out days; itself, where that has made it unfit."""
    config, inputs = night.config, night.tonight.inputs
    days = inputs.test_days
    stage = derived(
        decision.bundle.stage,
        name=REFRESH,
        init_from=decision.version.uri,
        transfer=config.night.transfer,
        epochs=config.night.epochs or decision.bundle.stage.epochs,
        last_days=None,
        early_stop=None,
        control_of=None,
    )
    split = DateSplit(train_from=days[0], train_to=days[-1])
    data = derived(config.data, split=split)
    learning = derived(config, data=data, stages=(stage,), control=False)
    learned_before = decision.bundle.contents.origin.training_days
    own = Inputs(inputs.manifest.of_days(days), ResolvedSplit(days, ()), night.tonight.days.key, learned_before)
    trained = train(prepare(learning, own, night.tracking), night.run, night.show)
    prepared = trained.prepared
    candidate = Candidate(prepared.config, prepared.inputs, trained.store, stage, prepared.run_uri)
    registered = promotion.register(candidate, night.run, night.tonight.days.keys[1])
    evidence = Evidence(registered.held_out.sums.metrics(), golden_difference=registered.golden_difference)
    verdict = gate.decide(evidence, config.night.gate)
    words = f"{decision.version.uri} after it has learned {days[-1]}; before that, {decision.verdict.reason}"
    versions.set_tags(night.tracking, registered.version, {VERDICT: words, REFRESHED_FROM: decision.version.uri})
    note(f"{registered.version.uri}" if verdict.promote else f"left away: {verdict.reason}")
    return registered.version if verdict.promote else decision.version, trained


def _stop(night: NightRun, progress: NightProgress) -> Stopped:
    """Record the night as stopped, and why; the exception to raise."""
    words = f"the log is not trained on: {'; '.join(progress.looks.words('broken'))}"
    ended = _record(night, progress, "stopped", words)
    records.write(night.config, ended)
    return Stopped(f"{words}; the champion stays as it is, and the same command looks at the day again")


def _conclude(night: NightRun, progress: NightProgress) -> Night:
    assert progress.decision
    verdict = progress.decision.verdict
    return _record(night, progress, "promoted" if verdict.promote else "kept", verdict.reason)


def _record(night: NightRun, progress: NightProgress, outcome: records.Outcome, words: str) -> Night:
    """The night in MLflow: figures, page, description; and as it is kept."""
    tonight, decision, trained = progress.tonight, progress.decision, progress.trained
    held_out = progress.opponent.held_out if progress.opponent else None
    by_day = held_out.by_day() if held_out else {}
    trainings = [one for one in (trained, progress.refreshed) if one]
    ended = Night(
        day=tonight.days.day,
        key=tonight.days.key,
        outcome=outcome,
        verdict=words,
        held_out_days=tonight.inputs.test_days,
        start=tonight.start,
        run_id=night.run.run_id,
        tracking_uri=redacted(night.tracking.uri),
        champion_uri=progress.serves.uri if progress.serves else None,
        candidate_uri=decision.version.uri if decision else None,
        candidate=decision.held_out.sums.metrics().as_dict() if decision else {},
        champion=held_out.sums.metrics().as_dict() if held_out else {},
        progressive={str(day): metrics.as_dict() for day, metrics in by_day.items()},
        rows_trained=int(sum(results.get("rows_seen", 0) for one in trainings for results in one.results.values())),
        num_ids=decision.bundle.vocabulary.num_ids if decision else 0,
        seconds=dict(night.seconds),
        breaches=progress.looks.words("broken"),
        unusual=progress.looks.words("unusual"),
        failures=trained.failures if trained else {},
        failed_rules=decision.verdict.failed_rules if decision else (),
        settings=over.settings_of(night.config),
        log=over.log_of(tonight.days.manifest),
        code=over.code(),
    )
    page.publish(night.run, ended, progress, night.config, records.all_of(night.config))
    return ended
