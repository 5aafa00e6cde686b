"""One retrain, from a click log to a registered model, as a list of calls."""

from contextlib import suppress
from dataclasses import asdict, replace

from pipeline.data.store import Store
from pipeline.data.unknown_classes import classes_in_words
from pipeline.data.unknown_columns import unknown_in_words
from pipeline.evaluation.intervals import intervals
from pipeline.evaluation.objectives import sums_of
from pipeline.registry.golden import Host
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import NEW_FIELDS, UNKNOWN_CLASSES, UNKNOWN_COLUMNS
from pipeline.registry.tracking import Tracking, connect
from pipeline.retrain import (
    defaults,
    disk,
    judging,
    leasing,
    leftovers,
    on_nodes,
    page,
    promotion,
    recording,
    stage_days,
    warm_start,
)
from pipeline.retrain.baselines import baselines
from pipeline.retrain.dataset import (
    Inputs,
    best_possible_ne,
    differing,
    encoded_store,
    identity_of,
    settings_of_cluster,
)
from pipeline.retrain.fit import fit
from pipeline.retrain.opponent import Opponent
from pipeline.retrain.page import Ended
from pipeline.retrain.summary import UNREGISTERED, Summary, parse_summary
from pipeline.retrain.trained import Prepared, Trained
from pipeline.runtime import trusted
from pipeline.runtime.cluster import Cluster
from pipeline.runtime.progress import Clock, Event
from pipeline.training import affordable, fitting, results
from pipeline.training.job import TrainingJob
from schemas.config import TrainConfig
from schemas.redaction import redacted
from schemas.register import Register


def carry_out(config: TrainConfig, inputs: Inputs, register: Register, nodes: Cluster, clock: Clock) -> Summary:
    """The retrain of these inputs, as `opening.retrain` says; a Ray that it needs has begun to start."""
    with clock.unshown("open MLflow"):
        prepared = prepare(config, inputs, connect(config.mlflow, config.work_uri))
    config = prepared.config
    tracking, identity = prepared.tracking, prepared.inputs.identity
    saved = f"{prepared.run_uri}/{leftovers.SUMMARY}"
    finished = trusted.kept(saved, parse_summary) if tracking.find_finished(identity) else None
    if finished and finished.register.includes(register):
        clock(Event("this retrain is finished already", 1, 1, f"its results are in {prepared.run_uri}"))
        return replace(finished, differs=differing(finished.cluster, settings_of_cluster(config)))
    best_possible = best_possible_ne(config.data.logs_uri, prepared.inputs)  # refused, if at all, before it costs
    disk.check(config, prepared.disk_need)
    if register is not Register.NONE:
        Opponent.require_same_target(config, tracking, [identity])
    name = f"train {prepared.inputs.test_days[-1]}"
    nodes.checks = on_nodes.all_of(config, prepared.inputs.manifest, tracking)
    with leasing.lease_of(config, f"{name} {identity[:6]}", clock) as lease:
        with clock.unshown("wait for Ray"):
            nodes.arrive()
        fitting.check_room(config.cluster, clock)
        opened = tracking.retrain(identity, name, config, prepared.inputs.manifest.to_json())
        with clock.entering("open the run", opened) as run, promotion.host_of(config, tracking) as host:
            was_begun = bool(run.stages)
            opponent = judging.opponent_of(prepared, clock) if register is not Register.NONE else None
            trained = _trained(prepared, run, clock, host if opponent else None)
            nodes.leave()
            ended = Ended(trained, opponent, best_possible_ne=best_possible, was_begun=was_begun)
            ended = judging.judge(ended, register, run, clock, host, lease)
            promotion.log_unregistered(run, trained.results, prepared.run_uri)
            summary = _summary(ended, run, register)
            with clock.unshown("write the page"):
                page.publish(run, ended, clock.phases)
            run.rename(f"{trained.best.name} best")
    summary = replace(summary, phases=clock.phases)
    _keep(summary, prepared, saved)
    return summary


def _keep(summary: Summary, prepared: Prepared, saved: str) -> None:
    """What the retrain came to, and of what it went by no more than `retention` says."""
    trusted.write(saved, asdict(summary))
    if prepared.config.retention.runs is not None:
        with suppress(Exception):  # the retrain is finished: what stays of it goes by `nightjar prune`
            leftovers.drop(prepared.run_uri)


def prepare(config: TrainConfig, inputs: Inputs, tracking: Tracking) -> Prepared:
    """Find and check the models that stages start from, and name the retrain by all that its result depends on."""
    config, open_keys = defaults.completed(warm_start.pinned(config, tracking), inputs)
    bundles = warm_start.load(config, tracking)
    learned = {day for bundle in bundles.values() for day in bundle.contents.origin.training_days}
    learned_before = tuple(sorted(learned.union(inputs.learned_before)))
    inputs = replace(inputs, identity=identity_of(config, inputs.manifest), learned_before=learned_before)
    return Prepared(config, inputs, bundles, tracking, open_keys)


def train(prepared: Prepared, run: Retrain, clock: Clock, host: Host | None = None) -> Trained:
    """Encode the rows, train the plan's stages on them, and record how each has ended; see `fit` for the host."""
    config, inputs, run_uri = prepared.config, prepared.inputs, prepared.run_uri
    encoded = encoded_store(config, inputs, clock, warm_start.vocabulary_of(prepared.bundles))
    warm_start.lay_out(prepared.bundles, run_uri, config.data.features)
    fitting.check_memory(config.table, config.cluster, config.plan, encoded.num_ids)
    seen = stage_days.seen_before(config, inputs.train_days, inputs.learned_before)
    others = (warm_start.in_words(prepared.new_fields), classes_in_words(encoded.unknown_classes))
    for words in filter(None, (*prepared.left_open, *seen, *others)):
        task, _, note = words.partition(": ")
        clock(Event(task, 1, 1, note))
    run.open_stages(config.plan)
    run.log_data(recording.rows_of(config, inputs, encoded))
    failures = fit(TrainingJob(config, encoded, run_uri), run.log, clock, host)
    with clock.unshown("work out the figures"):
        return replace(_recorded(prepared, encoded, failures, run), seen_before=seen)


def _recorded(prepared: Prepared, store: Store, failures: dict[str, str], run: Retrain) -> Trained:
    config, inputs, run_uri = prepared.config, prepared.inputs, prepared.run_uri
    stages = [stage for stage in config.plan if stage.name not in failures]
    figures = {}
    lifts = results.lifts(run_uri, stages, store, len(config.data.features.fields), config.seed)
    for stage in stages:
        progress = results.progress(run_uri, stage.name)
        figures[stage.name] = progress.results
        if stage.name in lifts:
            run.log_lift(stage.name, lifts[stage.name].metrics(), lifts[stage.name].in_words(stage.name))
        own = affordable.on_its_days(stage, config, store, run_uri)
        run.log_data(recording.rows_of(config, inputs, store, own), stage.name)
        run.finish_stage(stage.name, progress.results, progress.settings, (progress.began, progress.ended))
    for name, why in failures.items():
        run.fail_stage(name, why)
    words = tuple(lift.in_words(name) for name, lift in lifts.items())
    sums = {name: results.held_out_sums(run_uri, name) for name in figures}
    base = baselines(store, config.data, next(iter(sums.values()), sums_of(store.target.objective).zero()))
    return Trained(
        prepared,
        store,
        failures,
        figures,
        words,
        intervals={name: intervals(one) for name, one in (sums | base.sums).items()},
        constant=base.constant,
        baselines={name: one.metrics().as_dict() for name, one in base.sums.items()},
    )


def _trained(prepared: Prepared, run: Retrain, clock: Clock, host: Host | None) -> Trained:
    unknown = prepared.inputs.manifest.unknown_columns
    if unknown:
        run.set_tag(UNKNOWN_COLUMNS, unknown_in_words(unknown))
    if prepared.new_fields:
        run.set_tag(NEW_FIELDS, ", ".join(prepared.new_fields))
    trained = train(prepared, run, clock, host)
    if trained.store.unknown_classes:
        run.set_tag(UNKNOWN_CLASSES, classes_in_words(trained.store.unknown_classes))
    run.log_best(trained.best.name, trained.results[trained.best.name])
    return trained


def _summary(ended: Ended, run: Retrain, register: Register) -> Summary:
    trained, decision = ended.trained, ended.decision
    prepared = trained.prepared
    return Summary(
        run_id=run.run_id,
        identity=prepared.inputs.identity,
        tracking_uri=redacted(prepared.tracking.uri),
        held_out_days=tuple(map(str, prepared.inputs.test_days)),
        stages=trained.results,
        best_stage=trained.best.name,
        best_possible_ne=ended.best_possible_ne,
        model_uri=decision.version.uri if decision else None,
        alias=decision.alias if decision else None,
        verdict=decision.verdict.reason if decision else UNREGISTERED,
        lifts=trained.lifts,
        left_open=prepared.left_open,
        seen_before=trained.seen_before,
        baselines=trained.baselines,
        intervals=trained.intervals,
        failures=trained.failures,
        cluster=settings_of_cluster(prepared.config),
        register=register,
        registered=dict(ended.others),
    )
