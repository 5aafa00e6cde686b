"""What becomes of a retrain's stages: registered, drawn, held against the opponent, made champion or not, explained."""

from dataclasses import replace

from pipeline.registry import versions
from pipeline.registry.golden import Host
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import SERVES, VERDICT
from pipeline.report import outcomes
from pipeline.retrain import explaining, promotion
from pipeline.retrain.opponent import Opponent
from pipeline.retrain.page import Ended
from pipeline.retrain.promotion import Candidate, Decision, Registered
from pipeline.retrain.summary import UNREGISTERED
from pipeline.retrain.trained import Prepared, Trained
from pipeline.runtime.lease import Lease
from pipeline.runtime.progress import Clock
from pipeline.training import results
from schemas.register import Register


def opponent_of(prepared: Prepared, clock: Clock) -> Opponent:
    """The champion that the retrain's best stage will have to beat, which scores the held-out rows now."""
    inputs = prepared.inputs
    with clock.unshown("score with champion"):
        return Opponent.find(prepared.config, inputs, prepared.tracking, [inputs.identity])


def candidate_of(trained: Trained) -> Candidate:
    """The best stage, with all that makes it a model of its own."""
    prepared = trained.prepared
    return Candidate(prepared.config, prepared.inputs, trained.store, trained.best, prepared.run_uri)


def plot(trained: Trained, run: Retrain) -> None:
    """What the stages make of the held-out rows, on the parent run."""
    sums = {name: results.held_out_sums(trained.prepared.run_uri, name) for name in trained.results}
    run.log_figures(outcomes.figures(sums, trained.best.name, trained.store.target.classes))


def judge(ended: Ended, register: Register, run: Retrain, clock: Clock, host: Host, lease: Lease) -> Ended:
    """Register the best stage, and the others where all are asked for, let the gate decide, and explain the best.

    Without an opponent none is registered, and the figures alone are drawn.
    """
    trained, others = ended.trained, {}
    if ended.opponent is None:
        with clock.unshown("draw the figures"):
            plot(trained, run)
        run.describe(UNREGISTERED)
        return ended
    if register is Register.ALL:
        with clock.unshown("register the others"):
            others = _register_others(trained, run, host)
    registered = _register(trained, run, clock, host)
    with clock.unshown("draw the figures"):  # while it is tried
        plot(trained, run)
    decision = _decide(registered, ended.opponent, trained, run, clock, lease)
    worth = explaining.worth_of(decision.bundle, trained.prepared.config, trained.prepared.inputs, run, clock)
    return replace(ended, others=others, decision=decision, worth=worth)


def _register_others(trained: Trained, run: Retrain, host: Host) -> dict[str, str]:
    """Versions of all stages but the best one and the controls."""
    found = {}
    for stage in trained.prepared.config.stages:
        if stage.name in trained.results and stage.name != trained.best.name:
            candidate = replace(candidate_of(trained), stage=stage)
            registered = promotion.register(candidate, run, f"{trained.prepared.inputs.identity}-{stage.name}", host)
            verdict = f"of the retrain whose best stage was {trained.best.name}"
            versions.set_tags(run.tracking, registered.version, {VERDICT: verdict})
            registered.tried()  # and told of, where it cannot be used
            found[stage.name] = registered.version.uri
    return found


def _register(trained: Trained, run: Retrain, clock: Clock, host: Host) -> Registered:
    with clock.step("register") as note:
        registered = promotion.register(candidate_of(trained), run, trained.prepared.inputs.identity, host)
        note(registered.version.uri)
    return registered


def _decide(
    registered: Registered, opponent: Opponent, trained: Trained, run: Retrain, clock: Clock, lease: Lease
) -> Decision:
    """Let the best stage serve where it is fit and no worse than the opponent."""
    config = trained.prepared.config
    with clock.step("gate") as note:
        decision = promotion.decide(registered, opponent, config, run.tracking, trained.constant)
        if decision.verdict.promote:
            lease.check()
            versions.promote(run.tracking, decision.version)
        run.set_tag(SERVES, versions.serving_in_words(run.tracking, config.mlflow.registered_model))
        run.describe(decision.verdict.reason)
        note(f"{decision.version.uri} is {decision.alias}")
    return decision
