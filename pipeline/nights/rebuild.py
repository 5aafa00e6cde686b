"""Drop what the champion has not seen for long: ids are given anew, rows carried over, and the gate is asked."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.data import logs, passes
from pipeline.data.split import ResolvedSplit
from pipeline.nights import records
from pipeline.nights.complete import newest_complete
from pipeline.nights.records import Move
from pipeline.registry import eviction, model_uri, versions
from pipeline.registry.eviction import Eviction
from pipeline.registry.opening import user
from pipeline.registry.tags import SERVES
from pipeline.registry.tracking import Tracking, connect, require
from pipeline.retrain import leasing, on_nodes, promotion
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.opponent import Opponent, check_target
from pipeline.retrain.promotion import Decision
from pipeline.runtime import cluster, fingerprint
from pipeline.runtime.progress import Event, Show
from schemas.checking import derived
from schemas.config import DateSplit, TrainConfig
from schemas.errors import Refusal


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was dropped, and what the gate made of the model without it; None where there was nothing to drop."""

    evicted: Eviction
    decision: Decision | None


def rebuild(config: TrainConfig, show: Show) -> Rebuilt:
    """Register the champion without its unseen, rare values, and let it serve where the gate finds it no worse.

    Both are judged on the log's newest complete day. Raises Refusal without a champion or for one of another label,
    Busy while a night works on it.
    """
    tracking = require(config.mlflow, config.work_uri)
    if not tracking.experiment_id:
        tracking = connect(config.mlflow, config.work_uri)
    listing = logs.look(config.data)
    newest = newest_complete(listing, config.data, config.night)
    seen = [day for day in listing.days if newest - timedelta(config.night.eviction.unseen_days) < day <= newest]
    manifest = logs.find(config.data, seen)
    with (
        leasing.lease_of(config, "rebuild", show) as lease,
        cluster.of_command(config.cluster, [on_nodes.log(manifest)]),
        tempfile.TemporaryDirectory() as name,
    ):
        champion = versions.champion(tracking, config.mlflow.registered_model)
        if champion is None:
            raise _no_champion(config.mlflow.registered_model)
        folder, bundle = Path(name, "bundle"), model_uri.load_bundle(tracking, champion.uri)
        check_target(champion, bundle.spec, config)
        show(Event("count recent values", 0, 1))
        data = config.data
        counts = passes.count_values(manifest, data, ResolvedSplit(manifest.days, ()), with_rare=True)
        evicted = eviction.rebuilt_bundle(bundle, counts, config.night.eviction, folder)
        show(Event("count recent values", 1, 1, f"{evicted.num_evicted:,} of {evicted.before:,} values to drop"))
        if not evicted.num_evicted:
            return Rebuilt(evicted, None)
        key = fingerprint.digest(champion.uri, config.night.eviction.model_dump_json(), manifest.fingerprint)
        own = derived(data, split=DateSplit(test_dates=(newest,)))
        inputs = Inputs(manifest, ResolvedSplit((), (newest,)), key)
        decision = _decide(derived(config, data=own), inputs, evicted, folder, tracking)
        if decision.verdict.promote:
            lease.check()
            versions.promote(tracking, decision.version)
            records.moved(config, Move(datetime.now(UTC), "rebuild", champion.uri, decision.version.uri, user()))
    return Rebuilt(evicted, decision)


def _decide(config: TrainConfig, inputs: Inputs, evicted: Eviction, folder: Path, tracking: Tracking) -> Decision:
    """Register the smaller model under a run of its own, and judge it against the whole one."""
    key, day = inputs.identity, inputs.test_days[0]
    with (
        tracking.retrain(key, f"rebuild {day}", config, inputs.manifest.to_json(), "rebuild") as run,
        promotion.host_of(config, tracking) as host,
    ):
        host.start()
        opponent = Opponent.find(config, inputs, tracking, [key])
        registered = promotion.register_bundle(folder, run.run_id, key, config, inputs, host)
        run.log_final("test", registered.held_out.sums.metrics().as_dict())
        decision = promotion.decide(registered, opponent, config, tracking)
        run.log_final("vocabulary/evicted", {field.name: float(field.before - field.after) for field in evicted.fields})
        run.describe(f"{evicted.num_evicted:,} of {evicted.before:,} values dropped. {decision.verdict.reason}")
        run.rename("promoted" if decision.verdict.promote else "rejected")
        serves = decision.version if decision.verdict.promote else opponent.version
        run.set_tag(SERVES, f"version {serves.number}" if serves else "nothing")
    return decision


def _no_champion(name: str) -> Refusal:
    return Refusal(
        found=f"{name} without a champion",
        expected="a champion, whose vocabulary is to be rebuilt",
        where=f"registered model {name!r}",
        remedy="run a night, or `nightjar train`, first",
    )
