"""One retrain, from a click log to a registered model, as a list of calls."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from pipeline import cluster, origins, scoring
from pipeline.data import files, store
from pipeline.data.store import Store
from pipeline.evaluation import gate, plots
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.metrics import Metrics, Sums
from pipeline.inputs import Event, Inputs, Show, best_possible_ne, encoded_store, find_inputs, identity_of
from pipeline.registry import tracking, versions
from pipeline.registry.bundle import Bundle, write_bundle
from pipeline.registry.tracking import Retrain, Tracking
from pipeline.registry.versions import Version
from pipeline.training import published, trainer
from pipeline.training.stages import stage_uri
from pipeline.training.worker import Job
from schemas.config import StageConfig, TrainConfig
from schemas.loading import absolute


@dataclass(frozen=True, slots=True)
class Summary:
    """What a retrain came to. `stages` holds final figures; the best possible NE is known of synthetic logs."""

    run_id: str
    identity: str
    tracking_uri: str
    held_out_days: tuple[str, ...]
    stages: dict[str, dict[str, float]]
    best_stage: str
    best_possible_ne: float | None
    model_uri: str
    alias: str
    verdict: str
    lifts: tuple[str, ...] = ()
    """What pretraining bought, a sentence for each stage that has a control."""
    failures: dict[str, str] = field(default_factory=dict)
    """Stages that could not be trained, and why."""


def retrain(config: TrainConfig, show: Show) -> Summary:
    """Train every stage of the plan, register the best one and, if the gate says so, make it champion.

    Raises Refusal for what the user must change, before any training starts or a run is recorded. The same config, log
    and code again return the finished retrain, or resume an unfinished one.
    """
    inputs = find_inputs(config, show)
    recorder = tracking.connect(config.mlflow, config.work_uri)
    config = origins.pinned(config, recorder)
    inputs = replace(inputs, identity=identity_of(config, inputs.manifest))
    bundles = origins.load(config, recorder)
    run_uri = f"{absolute(config.work_uri)}/runs/{inputs.identity}"
    if recorder.find_finished(inputs.identity) and files.exists(f"{run_uri}/summary.json"):
        show(Event("this retrain is finished already", 1, 1, f"its results are in {run_uri}"))
        return TypeAdapter(Summary).validate_json(files.read_bytes(f"{run_uri}/summary.json"))
    with cluster.connected(config.cluster):
        trainer.check_placement(config.cluster)
        summary = _train(config, inputs, bundles, run_uri, recorder, show)
    files.write_bytes(f"{run_uri}/summary.json", json.dumps(asdict(summary)).encode())
    return summary


def _train(
    config: TrainConfig, inputs: Inputs, bundles: dict[str, Bundle], run_uri: str, recorder: Tracking, show: Show
) -> Summary:
    encoded = encoded_store(config, inputs, show, origins.vocabulary_of(bundles))
    origins.lay_out(bundles, run_uri)
    trainer.check_memory(config, encoded.num_ids)
    name = f"{inputs.test_days[-1]} {inputs.identity[:6]}"
    with recorder.retrain(inputs.identity, name, config, inputs.manifest.to_json()) as run:
        log = run.log
        failures = trainer.fit(Job(config, encoded, run_uri, log, open_log=log.open), _steps_to(show))
        return _conclude(_Trained(config, inputs, encoded, run_uri, recorder, run, failures), show)


@dataclass(frozen=True, slots=True)
class _Trained:
    """A retrain whose stages are published under `run_uri`, but for the failed ones."""

    config: TrainConfig
    inputs: Inputs
    store: Store
    run_uri: str
    recorder: Tracking
    run: Retrain
    failures: dict[str, str]
    """Stage -> why it could not be trained."""

    @property
    def stages(self) -> list[StageConfig]:
        """That were trained, controls included, in the order of the plan."""
        return [stage for stage in self.config.plan if stage.name not in self.failures]


def _conclude(trained: _Trained, show: Show) -> Summary:
    """Record the stages' figures, register the best stage's model, and let the gate decide about it."""
    run = trained.run
    results: dict[str, dict[str, float]] = {}
    sums: dict[str, Sums] = {}
    config = trained.config
    num_fields = len(config.data.features.fields)
    lifts = published.lifts(trained.run_uri, trained.stages, trained.store, num_fields, config.seed)
    for stage in trained.stages:
        progress = published.progress(trained.run_uri, stage.name)
        results[stage.name] = progress.results
        sums[stage.name] = published.held_out_sums(trained.run_uri, stage.name)
        if stage.name in lifts:
            run.log_lift(stage.name, lifts[stage.name].metrics(), lifts[stage.name].in_words(stage.name))
        run.finish_stage(stage.name, progress.results, progress.settings)
    for name, why in trained.failures.items():
        run.fail_stage(name, why)
    best = min(results, key=lambda name: results[name]["ne"])
    run.log_best(best, results[best])
    run.log_figures(
        {
            "roc": plots.plot_roc(sums),
            "calibration": plots.plot_calibration(sums),
            "precision_recall": plots.plot_precision_recall(sums),
        }
    )
    show(Event("register", 0, 1))
    verdict = gate.decide(sums[best].metrics(), _champions_metrics(trained))
    version = _register(trained, best, verdict)
    alias = versions.CHAMPION if verdict.promote else versions.CHALLENGER
    show(Event("register", 1, 1, f"{version.uri} is {alias}"))
    return Summary(
        run_id=run.run_id,
        identity=trained.inputs.identity,
        tracking_uri=trained.recorder.uri,
        held_out_days=tuple(map(str, trained.inputs.test_days)),
        stages=results,
        best_stage=best,
        best_possible_ne=best_possible_ne(config, trained.inputs),
        model_uri=version.uri,
        alias=alias,
        verdict=verdict.reason,
        lifts=tuple(lift.in_words(name) for name, lift in lifts.items()),
        failures=trained.failures,
    )


def _champions_metrics(trained: _Trained) -> Metrics | None:
    """The champion's, on the same held-out rows; None where there is no champion."""
    champion = versions.champion(trained.recorder, trained.config.mlflow.registered_model)
    if champion is None:
        return None
    data, test_days = trained.config.data, trained.inputs.test_days
    manifest = trained.inputs.manifest.of_days(test_days)
    bundle = versions.load_bundle(trained.recorder, champion.uri)
    return scoring.evaluate(bundle, manifest, data.split, test_days, data.rows_per_part).metrics()


def _register(trained: _Trained, best: str, verdict: Verdict) -> Version:
    config = trained.config
    with tempfile.TemporaryDirectory() as folder:
        stage_folder, bundle_folder = Path(folder, "stage"), Path(folder, "bundle")
        stage_folder.mkdir()
        write_bundle(
            bundle_folder,
            config=config,
            stage=next(stage for stage in config.plan if stage.name == best),
            vocabulary=store.read_vocabulary(trained.store.uri, config.data.features),
            stage_folder=files.fetch(stage_uri(trained.run_uri, best), stage_folder),
            identity=trained.inputs.identity,
            training_days=trained.inputs.train_days,
        )
        name, tags = config.mlflow.registered_model, {"verdict": verdict.reason}
        version = versions.register(trained.recorder, bundle_folder, trained.run.stages[best], name, tags)
    if verdict.promote:
        versions.promote(trained.recorder, version)
    return version


def _steps_to(show: Show) -> Callable[[str, int, int, float], None]:
    def show_step(stage: str, step: int, num_steps: int, rows_per_second: float) -> None:
        show(Event(f"train {stage}", step, num_steps, f"{rows_per_second:,.0f} rows/s"))

    return show_step
