"""From a trained stage to a verdict: its bundle, its registration, the evidence, and what the gate makes of it.

Killed between any two of these, the same call does again what is left: nothing is registered twice, and the evidence
comes out the same.
"""

import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.data import logs, quality, store
from pipeline.data.logs import Manifest
from pipeline.data.store import Store
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation import gate
from pipeline.evaluation.baselines import Baseline
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.row_sums import Constant
from pipeline.evaluation.verdict import Reason, Verdict
from pipeline.registry import registration, versions
from pipeline.registry.bundle import Bundle, Contents, Origin, write_parts
from pipeline.registry.bundle_format import NEWEST
from pipeline.registry.golden import Host, Trial
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import DECISION, FAILED_RULES, VERDICT
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.opponent import Opponent
from pipeline.runtime import files, trusted
from pipeline.scoring.held_out import HeldOut, gather, score_held_out
from pipeline.training import checkpoint, published
from schemas.config import TrainConfig
from schemas.errors import Failure, Refusal
from schemas.stage import StageConfig

logger = logging.getLogger(__name__)
COMPARABLE = "champion"  # the gate's rule about it


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stage that was published under `run_uri`."""

    config: TrainConfig
    inputs: Inputs
    store: Store
    stage: StageConfig
    run_uri: str

    @property
    def learned_days(self) -> tuple[date, ...]:
        """Those of its stage and of the stages that this one starts from."""
        of_name = {stage.name: stage for stage in self.config.plan}
        days: set[date] = set()
        stage: StageConfig | None = self.stage
        while stage is not None:
            days.update(self.inputs.learned_days(stage, self.config))
            stage = of_name.get(stage.init_from or "")
        return tuple(sorted(days))


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a candidate."""

    version: Version
    bundle: Bundle
    held_out: HeldOut
    evidence: Evidence
    verdict: Verdict

    @property
    def alias(self) -> str:
        return versions.CHAMPION if self.verdict.promote else versions.CHALLENGER


def decide(
    registered: "Registered",
    opponent: Opponent,
    config: TrainConfig,
    tracking: Tracking,
    constant: Constant | None = None,
) -> Decision:
    """Judge a registered candidate against the opponent, and tag it with the verdict. `champion` stays where it is.

    `constant`: of the training days, None where nothing is known of it.
    """
    why_not = opponent.why_not or opponent.differs_from(registered.bundle)
    champion = None if why_not else opponent.held_out
    found = gather(registered.held_out, champion, config.night.gate, config.seed)
    baseline = Baseline.of(registered.held_out.sums, constant, config.night.gate.confidence)
    found = replace(found, baseline=baseline, golden_difference=registered.tried())
    verdict = gate.decide(found, config.night.gate)
    if why_not:
        verdict = verdict.judging(Reason(COMPARABLE, False, why_not))
    versions.set_tags(tracking, registered.version, _tags(verdict))
    return Decision(registered.version, registered.bundle, registered.held_out, found, verdict)


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of the registered model, its bundle, and what it makes of the held-out rows."""

    version: Version
    bundle: Bundle
    held_out: HeldOut
    trial: Trial | Refusal | None
    """Of the registered model in a process of its own, which may be at work; or why it was not begun."""

    def tried(self) -> float | None:
        """How far from the bundle's its scores are; infinite where it can't be used at all, None where it is not tried.

        Waits for them.
        """
        try:
            if isinstance(self.trial, Refusal):
                raise self.trial
            return None if self.trial is None else self.trial.largest_difference()
        except (Failure, Refusal) as error:
            why = error.found if isinstance(error, Refusal) else error
            logger.warning("%s cannot be used: %s", self.version.uri, why)
            return float("inf")


def host_of(config: TrainConfig, tracking: Tracking) -> Host:
    """Where what is registered under the config is tried."""
    return Host(tracking, config.night.gate.golden_rows)


def register(candidate: Candidate, run: Retrain, key: str, host: Host) -> Registered:
    """Register the candidate's bundle under `key`, after scoring the held-out rows with it."""
    host.start()
    with tempfile.TemporaryDirectory() as name:
        folder = _bundle_of(candidate, Path(name))
        run_id = run.stage_run(candidate.stage.name)
        return register_bundle(folder, run_id, key, candidate.config, candidate.inputs, host)


def log_unregistered(run: Retrain, stages: Iterable[str], run_uri: str) -> None:
    """Let those stages that no version came of be compared with the others, too."""
    for stage in stages:
        registration.log_unregistered(run.tracking, run.stage_run(stage), stage, published.stage_uri(run_uri, stage))


def register_bundle(folder: Path, run_id: str, key: str, config: TrainConfig, inputs: Inputs, host: Host) -> Registered:
    """Score the held-out rows with the bundle, register it under `key`, and begin to try what was registered."""
    host.start()
    bundle = Bundle.load(folder)
    split = inputs.judged_split
    held_out = score_held_out(bundle, inputs.manifest, config.data, split, config.night.gate.slices)
    version = registration.register(host.tracking, folder, run_id, config.mlflow.registered_model, key)
    trial: Trial | Refusal | None = None
    if host.num_rows:
        rows = _first_rows(config, inputs.manifest.of_days(split.test_days), host.num_rows)
        try:
            trial = host.ask(version.uri, bundle, rows)
        except Refusal as refusal:
            trial = refusal
    return Registered(version, bundle, held_out, trial)


def write_bundle(
    folder: Path, config: TrainConfig, stage: StageConfig, vocabulary: Vocabulary, stage_folder: Path, origin: Origin
) -> None:
    """Write the bundle of a finished stage into a local folder; the optimizer's state stays behind."""
    layer = stage_folder / published.CALIBRATION
    contents = Contents(
        format_version=NEWEST,
        features=vocabulary.spec,
        stage=stage,
        table=config.table,
        calibration=trusted.read(str(layer), published.parse_calibration) if layer.exists() else None,
        origin=origin,
        sha256={},
    )
    write_parts(folder, contents, vocabulary, checkpoint.load_tensors(stage_folder))


def _bundle_of(candidate: Candidate, folder: Path) -> Path:
    config, inputs = candidate.config, candidate.inputs
    stage_folder, bundle_folder = folder / "stage", folder / "bundle"
    stage_folder.mkdir()
    files.fetch(published.stage_uri(candidate.run_uri, candidate.stage.name), stage_folder)
    origin = Origin(
        identity=inputs.identity,
        training_days=candidate.learned_days,
        results=checkpoint.read_progress(stage_folder).results,
        # What another model has learned that a stage starts from, it may have learned of these rows.
        held_out_by=None if any(stage.starts_from_model for stage in config.plan) else inputs.split.by_key,
    )
    vocabulary = store.read_vocabulary(candidate.store.uri, config.data.features)
    write_bundle(bundle_folder, config, candidate.stage, vocabulary, stage_folder, origin)
    return bundle_folder


def _first_rows(config: TrainConfig, manifest: Manifest, num_rows: int) -> pa.Table:
    data = config.data
    table, where = next(logs.read_part(manifest.parts(data.rows_per_part)[0], data.features.columns))
    return quality.sound_rows(table, data.features, where, data.max_bad_share).slice(0, num_rows)


def _tags(verdict: Verdict) -> dict[str, str]:
    failed = ", ".join(verdict.failed_rules)
    return {
        VERDICT: verdict.reason,
        DECISION: "promote" if verdict.promote else "rejected",
        **({FAILED_RULES: failed} if failed else {}),
    }
