"""One retrain, from a click log to a registered model, as a list of calls."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pipeline
import schemas
from pipeline import cluster, scoring
from pipeline.data import files, logs, passes, quality, split, store, vocabulary
from pipeline.data.logs import Manifest
from pipeline.data.store import Store
from pipeline.evaluation import gate, plots
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.metrics import Metrics, Sums
from pipeline.registry import tracking, versions
from pipeline.registry.bundle import write_bundle
from pipeline.registry.tracking import Retrain, Tracking
from pipeline.registry.versions import Version
from pipeline.training import checkpoint, trainer, worker
from pipeline.training.stages import stage_uri
from pipeline.training.worker import Job
from schemas.config import DateSplit, TrainConfig
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


def retrain(config: TrainConfig, show: Show) -> Summary:
    """Train every stage of the plan, register the best one and, if the gate says so, make it champion.

    Raises Refusal for what the user must change, before any training starts or a run is recorded. The same config, log
    and code again return the finished retrain, or resume an unfinished one.
    """
    inputs = find_inputs(config, show)
    recorder = tracking.connect(config.mlflow, config.work_uri)
    run_uri = f"{absolute(config.work_uri)}/runs/{inputs.identity}"
    if recorder.find_finished(inputs.identity) and files.exists(f"{run_uri}/summary.json"):
        show(Event("this retrain is finished already", 1, 1, f"its results are in {run_uri}"))
        return Summary(**json.loads(files.read_bytes(f"{run_uri}/summary.json")))
    with cluster.connected(config.cluster):
        trainer.check_placement(config.cluster)
        summary = _train(config, inputs, run_uri, recorder, show)
    files.write_bytes(f"{run_uri}/summary.json", json.dumps(asdict(summary)).encode())
    return summary


def _train(config: TrainConfig, inputs: Inputs, run_uri: str, recorder: Tracking, show: Show) -> Summary:
    encoded = encoded_store(config, inputs, show)
    trainer.check_memory(config, encoded.num_ids)
    name = f"{inputs.test_days[-1]} {inputs.identity[:6]}"
    with recorder.retrain(inputs.identity, name, config, inputs.manifest.to_json()) as run:
        log = run.log
        trainer.fit(Job(config, encoded, run_uri, log, open_log=log.open), _steps_to(show))
        return _conclude(_Trained(config, inputs, encoded, run_uri, recorder, run), show)


def find_inputs(config: TrainConfig, show: Show) -> Inputs:
    """Choose the days, read the footers of their files, and name the retrain by all that its result depends on."""
    data = config.data
    show(Event("check the log", 0, 1))
    days = logs.days_of(data.logs_uri, data.features)
    train_days, test_days = split.choose_days(days, data.split, data.logs_uri)
    manifest = logs.find(data.logs_uri, sorted({*train_days, *test_days}), data.features)
    show(Event("check the log", 1, 1, f"{manifest.num_rows:,} rows, {len(manifest.days)} days"))
    # Not by the cluster's size: what two workers began one may end, from their checkpoint.
    of_cluster = {"address", "num_workers", "cpus_per_worker", "use_gpu"}
    what = config.model_dump_json(exclude={"work_uri": True, "mlflow": True, "cluster": of_cluster})
    identity = _digest(what, manifest.fingerprint, _code_fingerprint())
    return Inputs(manifest, tuple(train_days), tuple(test_days), identity)


def encoded_store(config: TrainConfig, inputs: Inputs, show: Show) -> Store:
    """The store of these inputs: opened if an earlier retrain has made it, else counted and encoded."""
    data, manifest, test_days = config.data, inputs.manifest, inputs.test_days
    what = data.model_dump_json(exclude={"logs_uri"})
    name = _digest(what, str(config.seed), manifest.fingerprint, _code_fingerprint())
    uri = f"{absolute(config.work_uri)}/encoded/{name}"
    encoded = store.open_store(uri)
    if encoded is None:
        show(Event("count values", 0, 1))
        counts = passes.count_values(manifest, data.features, data.split, test_days, data.rows_per_part)
        vocab = vocabulary.build(data.features, counts)
        show(Event("count values", 1, 1, f"{vocab.num_ids:,} ids"))
        trainer.check_memory(config, vocab.num_ids)  # before the longer pass, too
        show(Event("encode rows", 0, 1))
        files.remove(uri)
        store.write_vocabulary(uri, vocab)
        parts = passes.encode_rows(manifest, vocab, data.split, test_days, data.rows_per_part, config.seed, uri)
        encoded = store.complete(uri, vocab.num_ids, parts)
        show(
            Event("encode rows", 1, 1, f"{encoded.num_rows('train'):,} to train, {encoded.num_rows('test'):,} held out")
        )
    quality.check_classes(encoded.num_rows("train"), encoded.num_positives("train"), "training", data.logs_uri)
    held_out = f"{data.logs_uri}, {', '.join(map(str, test_days[:3]))}{' ...' if len(test_days) > 3 else ''}"
    quality.check_classes(encoded.num_rows("test"), encoded.num_positives("test"), "held-out", held_out)
    return encoded


@dataclass(frozen=True, slots=True)
class _Trained:
    """A retrain whose stages are all published under `run_uri`."""

    config: TrainConfig
    inputs: Inputs
    store: Store
    run_uri: str
    recorder: Tracking
    run: Retrain


def _conclude(trained: _Trained, show: Show) -> Summary:
    """Record the stages' figures, register the best stage's model, and let the gate decide about it."""
    run = trained.run
    results: dict[str, dict[str, float]] = {}
    sums: dict[str, Sums] = {}
    for stage in trained.config.stages:
        uri = stage_uri(trained.run_uri, stage.name)
        progress = json.loads(files.read_bytes(f"{uri}/{checkpoint.PROGRESS}"))["progress"]
        results[stage.name] = progress["results"]
        sums[stage.name] = Sums.from_bytes(files.read_bytes(f"{uri}/{worker.HELD_OUT_SUMS}"))
        run.finish_stage(stage.name, results[stage.name], progress["settings"])
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
        best_possible_ne=_best_possible_ne(trained.config, trained.inputs),
        model_uri=version.uri,
        alias=alias,
        verdict=verdict.reason,
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
            stage=next(stage for stage in config.stages if stage.name == best),
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


def _best_possible_ne(config: TrainConfig, inputs: Inputs) -> float | None:
    """What the truth of a synthetic log says of its one held-out day."""
    uri = f"{config.data.logs_uri}/truth.json"
    if not isinstance(config.data.split, DateSplit) or len(inputs.test_days) != 1 or not files.exists(uri):
        return None
    days = {day["date"]: day for day in json.loads(files.read_bytes(uri))["days"]}
    day = days.get(str(inputs.test_days[0]))
    return float(day["ne"]) if day else None


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
