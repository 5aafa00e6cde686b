"""The night, as a list of calls: look at the day, judge the champion on it, train, decide, serve, and say so."""

import logging
from datetime import UTC, date, datetime

from pipeline.evaluation.intervals import intervals
from pipeline.nights import over, page, plan, prune, records, steps
from pipeline.nights.days import Days, choose_days
from pipeline.nights.over import Over
from pipeline.nights.plan import Tonight
from pipeline.nights.progress import NightProgress
from pipeline.nights.records import Night
from pipeline.nights.retention import Leaving
from pipeline.nights.steps import NightRun
from pipeline.registry import server
from pipeline.registry.tags import DATE
from pipeline.registry.tracking import Tracking, connect
from pipeline.report.page import Outcome
from pipeline.retrain import disk, explaining, leasing, on_nodes, promotion
from pipeline.retrain.dataset import settings_of_cluster
from pipeline.runtime import cluster
from pipeline.runtime.cluster import Cluster
from pipeline.runtime.lease import Lease
from pipeline.runtime.progress import Clock, Event, Show
from pipeline.training import fitting
from schemas.config import TrainConfig
from schemas.errors import Refusal, Stopped
from schemas.redaction import redacted

logger = logging.getLogger(__name__)


def nightly(config: TrainConfig, day: date | None, show: Show, again: bool = False) -> Over:
    """Everything of one night; of the newest complete day where none is given.

    The night of a day that was asked for before returns what it came to, under whatever config that was; an unfinished
    one goes on. `again`: only what was done under this very config is returned. Raises Refusal before anything is
    begun, Busy where another night is at work on the same model, Stopped where the day's data breaks its bounds.
    Whatever it raises, the champion that served before still serves.
    """
    clock = Clock.of(show)
    with clock.unshown("check the log"):  # before MLflow's database is made, which a refused log has no use for
        days = choose_days(config, day)
    before = over.find(config, days)
    if before and not before.rewritten and not (again and before.night.key != days.key):
        note = "; ".join(filter(None, [before.night.verdict, before.words]))
        show(Event(f"the night of {days.day} is over already", 1, 1, note))
        return before
    with cluster.of_command(config.cluster) as nodes:
        nodes.begin()
        return Over(_nightly(config, days, before, clock, nodes))


def _nightly(config: TrainConfig, days: Days, before: Over | None, clock: Clock, nodes: Cluster) -> Night:
    with clock.unshown("open MLflow"):
        tracking = connect(config.mlflow, config.work_uri)
    with clock.unshown("plan the night"):
        tonight = _planned(days, before, tracking)
    disk.check(config, tonight.disk_need)
    nodes.checks = on_nodes.all_of(config, days.manifest, tracking)
    with leasing.lease_of(config, f"night of {days.day}", clock) as lease:
        with clock.unshown("wait for Ray"):
            nodes.arrive()
        tonight = plan.again(tonight, tracking)  # another night may have ended since
        fitting.check_room(config.cluster, clock)
        name, manifest = f"night {days.day}", days.manifest.to_json()
        opened = tracking.retrain(days.key, name, config, manifest, "night")
        with clock.entering("open the run", opened) as run, promotion.host_of(config, tracking) as host:
            run.set_tag(DATE, str(days.day))
            night = _work(NightRun(config, tonight, tracking, run, lease, clock, host))
        records.write(config, night)
        _tidy(config, tracking, lease, clock)
    return night


def _tidy(config: TrainConfig, tracking: Tracking, lease: Lease, show: Show) -> None:
    """Remove what `retention` lets go. The night is over: what fails here is told, and done by the next one."""
    show(Event("tidy up", 0, 1))
    gone: list[Leaving] = []
    why_not = ""
    try:
        for one in prune.leaving(config, tracking):
            lease.check()
            prune.remove(config, tracking, one)
            gone.append(one)
    except Exception as error:
        why_not = server.first_line(error)
        logger.warning("%s: not all that is to go has gone: %s", config.work_uri, why_not)
    num_bytes = sum(one.num_bytes or 0 for one in gone)
    show(
        Event(
            "tidy up",
            1,
            1,
            f"{num_bytes / 1e6:,.1f} MB of {len(gone)} things gone{f'; then: {why_not}' if why_not else ''}",
        )
    )


def _planned(days: Days, before: Over | None, tracking: Tracking) -> Tonight:
    """The plan. Where it is refused for a day whose night is over, the exception's note says what has changed since."""
    try:
        return plan.plan(days, tracking)
    except Refusal as refusal:
        if before and before.rewritten:
            written = ", ".join(map(str, before.rewritten))
            refusal.add_note(f"the night of {days.day} is over, but the log of {written} was written anew since")
        elif before:
            refusal.add_note(f"the night of {days.day} is over: {before.night.became}, {before.words}")
        raise


def _work(night: NightRun) -> Night:
    looks = steps.inspect(night)
    if looks.summed_up("broken") and night.config.night.quality.on_breach == "stop":
        raise _stop(night, NightProgress(night.tonight, looks, serves=night.tonight.champion))
    opponent = steps.validate_progressively(night)
    trained = steps.train_tonight(night)
    if not night.config.night.refresh:
        cluster.current().leave()
    decision = steps.decide(night, looks, opponent, trained)
    serves, refreshed = steps.serve(night, decision)
    tonight = night.tonight
    worth = explaining.worth_of(decision.bundle, tonight.config, tonight.inputs, night.run, night.clock)
    return _conclude(night, NightProgress(tonight, looks, opponent, trained, decision, refreshed, serves, worth))


def _stop(night: NightRun, progress: NightProgress) -> Stopped:
    """Record the night as stopped, and why; the exception to raise."""
    looks = progress.looks
    whole = (
        "" if looks.is_all_said else f"; all {len(looks.breaches)} breaches are in {steps.BREACHES} of the night's run"
    )
    words = f"the log is not trained on: {'; '.join(looks.summed_up('broken'))}{whole}"
    ended = _record(night, progress, "stopped", words)
    records.write(night.config, ended)
    return Stopped(f"{words}; the champion stays as it is, and the same command looks at the day again")


def _conclude(night: NightRun, progress: NightProgress) -> Night:
    assert progress.decision
    verdict = progress.decision.verdict
    return _record(night, progress, "promoted" if verdict.promote else "kept", verdict.reason)


def _record(night: NightRun, progress: NightProgress, outcome: Outcome, words: str) -> Night:
    """The night in MLflow: figures, page, description; and as it is kept."""
    tonight, decision, trained = progress.tonight, progress.decision, progress.trained
    held_out = progress.opponent.held_out if progress.opponent else None
    by_day = held_out.by_day() if held_out else {}
    confidence = night.config.night.gate.confidence
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
        began_with=tonight.champion.uri if tonight.champion else None,
        candidate_uri=decision.version.uri if decision else None,
        candidate=decision.held_out.sums.metrics().as_dict() if decision else {},
        champion=held_out.sums.metrics().as_dict() if held_out else {},
        bounds=intervals(decision.held_out.sums, confidence) if decision else {},
        champion_bounds=intervals(held_out.sums, confidence) if held_out else {},
        baselines=progress.baselines,
        progressive={str(day): metrics.as_dict() for day, metrics in by_day.items()},
        rows_trained=(rows_trained := sum(one.rows_trained for one in trainings)),
        passes=sum(one.rows_seen for one in trainings) / max(1, rows_trained),
        num_ids=decision.bundle.vocabulary.num_ids if decision else 0,
        seconds=night.clock.seconds,
        phases=night.clock.phases,
        breaches=progress.looks.summed_up("broken"),
        unusual=progress.looks.summed_up("unusual"),
        num_breaches=len(progress.looks.breaches),
        worth=progress.worth.rises if progress.worth else {},
        failures=trained.failures if trained else {},
        failed_rules=decision.verdict.failed_rules if decision else (),
        settings=over.settings_of(night.config),
        log=over.log_of(tonight.days.manifest),
        code=over.code(),
        cluster=settings_of_cluster(night.config),
        runs=tuple(one.prepared.run_uri.rpartition("/")[2] for one in trainings),
        rates=trained.rates if trained else {},
        ended=datetime.now(UTC),
    )
    page.publish(night.run, ended, progress, night.config, records.all_of(night.config))
    return ended
