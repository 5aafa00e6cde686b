"""One retrain, from a click log to a registered model, as a list of calls."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import pipeline
import schemas
from pipeline import cluster, origins, scoring
from pipeline.data import feed, files, logs, passes, quality, split, store, vocabulary
from pipeline.data.logs import Manifest
from pipeline.data.store import Store
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation import gate, plots
from pipeline.evaluation.bootstrap import compare
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.lift import Lift, rows_to_reach
from pipeline.evaluation.metrics import Metrics, Sums
from pipeline.registry import tracking, versions
from pipeline.registry.bundle import Bundle, write_bundle
from pipeline.registry.tracking import Retrain, Tracking
from pipeline.registry.versions import Version
from pipeline.training import checkpoint, course, trainer
from pipeline.training.checkpoint import Progress
from pipeline.training.stages import stage_uri
from pipeline.training.worker import Job
from schemas.config import DateSplit, StageConfig, TrainConfig
from schemas.loading import absolute


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show: `done` of `total` units of a task, and a note."""

    task: str
    done: int
    total: int
    note: str = ""


Show = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a retrain reads, chosen and checked before anything expensive; `identity` is that of the whole retrain."""

    manifest: Manifest
    train_days: tuple[date, ...]
    test_days: tuple[date, ...]
    identity: str


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
    inputs = replace(inputs, identity=_identity(config, inputs.manifest))
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


def find_inputs(config: TrainConfig, show: Show) -> Inputs:
    """Choose the days, read the footers of their files, and name the retrain by all that its result depends on."""
    data = config.data
    show(Event("check the log", 0, 1))
    days = logs.days_of(data.logs_uri, data.features)
    train_days, test_days = split.choose_days(days, data.split, data.logs_uri)
    manifest = logs.find(data.logs_uri, sorted({*train_days, *test_days}), data.features)
    show(Event("check the log", 1, 1, f"{manifest.num_rows:,} rows, {len(manifest.days)} days"))
    return Inputs(manifest, tuple(train_days), tuple(test_days), _identity(config, manifest))


def encoded_store(config: TrainConfig, inputs: Inputs, show: Show, known: Vocabulary | None = None) -> Store:
    """The store of these inputs: opened if an earlier retrain has made it, else counted and encoded.

    Its vocabulary is grown from the `known` one, whose ids stay what they are.
    """
    data, manifest, test_days = config.data, inputs.manifest, inputs.test_days
    what = data.model_dump_json(exclude={"logs_uri"})
    name = _digest(
        what, str(config.seed), manifest.fingerprint, _code_fingerprint(), known.fingerprint if known else ""
    )
    uri = f"{absolute(config.work_uri)}/encoded/{name}"
    encoded = store.open_store(uri)
    if encoded is None:
        show(Event("count values", 0, 1))
        counts = passes.count_values(manifest, data.features, data.split, test_days, data.rows_per_part)
        vocab = known.grow(counts) if known else vocabulary.build(data.features, counts)
        show(Event("count values", 1, 1, f"{vocab.num_ids:,} ids"))
        trainer.check_memory(config, vocab.num_ids)  # before the longer pass, too
        show(Event("encode rows", 0, 1))
        files.remove(uri)
        store.write_vocabulary(uri, vocab)
        parts = passes.encode_rows(
            manifest, vocab, data.split, test_days, data.rows_per_part, config.seed, uri,
            data.validation_share, data.negative_share,
        )  # fmt: skip
        encoded = store.complete(uri, vocab.num_ids, parts)
        show(
            Event("encode rows", 1, 1, f"{encoded.num_rows('train'):,} to train, {encoded.num_rows('test'):,} held out")
        )
    quality.check_classes(encoded.num_rows("train"), encoded.num_positives("train"), "training", data.logs_uri)
    held_out = f"{data.logs_uri}, {', '.join(map(str, test_days[:3]))}{' ...' if len(test_days) > 3 else ''}"
    if data.validation_share:
        num_rows, num_positives = encoded.num_rows("validation"), encoded.num_positives("validation")
        quality.check_classes(num_rows, num_positives, "validation", data.logs_uri)
    quality.check_classes(encoded.num_rows("test"), encoded.num_positives("test"), "held-out", held_out)
    return encoded


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
    lifts = _lifts(trained)
    for stage in trained.stages:
        progress = _progress(trained, stage.name)
        results[stage.name] = progress.results
        uri = stage_uri(trained.run_uri, stage.name)
        sums[stage.name] = Sums.from_bytes(files.read_bytes(f"{uri}/{course.HELD_OUT_SUMS}"))
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
        best_possible_ne=best_possible_ne(trained.config, trained.inputs),
        model_uri=version.uri,
        alias=alias,
        verdict=verdict.reason,
        lifts=tuple(lift.in_words(name) for name, lift in lifts.items()),
        failures=trained.failures,
    )


def _progress(trained: _Trained, stage: str) -> Progress:
    saved = json.loads(files.read_bytes(f"{stage_uri(trained.run_uri, stage)}/{checkpoint.PROGRESS}"))
    return Progress(**saved["progress"])


def _lifts(trained: _Trained) -> dict[str, Lift]:
    """Of each stage that has a control which was trained as well."""
    lifts: dict[str, Lift] = {}
    of_name = {stage.name: stage for stage in trained.stages}
    held_out = _held_out_labels(trained) if any(stage.control_of for stage in trained.stages) else None
    for control in trained.stages:
        stage = of_name.get(control.control_of or "")
        if stage is None or held_out is None:
            continue
        logits, base_logits = (
            course.held_out_logits(stage_uri(trained.run_uri, name), trained.store)
            for name in (stage.name, control.name)
        )
        rows_before, earlier = 0.0, stage.init_from
        while earlier is not None:
            rows_before += _progress(trained, earlier).rows_seen
            earlier = of_name[earlier].init_from
        own, its = _progress(trained, stage.name), _progress(trained, control.name)
        lifts[stage.name] = Lift(
            compare(logits, base_logits, *held_out, seed=trained.config.seed),
            rows_to_reach(own.curve, its.published_ne or -inf, rows_before),
            float(its.rows_seen),
        )
    return lifts


def _held_out_labels(trained: _Trained) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Labels and row weights of all held-out rows, in the store's order."""
    num_fields = len(trained.config.data.features.fields)
    windows = list(feed.local_windows(trained.store, "test", num_fields, 0, 1))
    weights = [rows.row_weights for rows in windows if rows.row_weights is not None]
    return np.concatenate([rows.labels for rows in windows]), np.concatenate(weights) if weights else None


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


def best_possible_ne(config: TrainConfig, inputs: Inputs) -> float | None:
    """What the truth of a synthetic log says of its one held-out day."""
    uri = f"{config.data.logs_uri}/truth.json"
    if not isinstance(config.data.split, DateSplit) or len(inputs.test_days) != 1 or not files.exists(uri):
        return None
    days = {day["date"]: day for day in json.loads(files.read_bytes(uri))["days"]}
    day = days.get(str(inputs.test_days[0]))
    return float(day["ne"]) if day else None


def _identity(config: TrainConfig, manifest: Manifest) -> str:
    """Not by the cluster's size: what two workers began one may end, from their checkpoint."""
    of_cluster = {"address", "num_workers", "cpus_per_worker", "use_gpu"}
    what = config.model_dump_json(exclude={"work_uri": True, "mlflow": True, "cluster": of_cluster})
    return _digest(what, manifest.fingerprint, _code_fingerprint())


def _steps_to(show: Show) -> Callable[[str, int, int, float], None]:
    def show_step(stage: str, step: int, num_steps: int, rows_per_second: float) -> None:
        show(Event(f"train {stage}", step, num_steps, f"{rows_per_second:,.0f} rows/s"))

    return show_step


def _code_fingerprint() -> str:
    """Changes with the library's code: what a new version makes is not what an old one made."""
    folders = [Path(package.__file__).parent for package in (pipeline, schemas) if package.__file__]
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return _digest(*(path.read_text(encoding="utf-8") for path in sources))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
