"""The page of a retrain, made of what it has come to, and where it stands in MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow.compute as pc

from pipeline.data import store as stores
from pipeline.data.field_ids import block_size
from pipeline.data.late_columns import late_in_words
from pipeline.data.left_aside import in_words
from pipeline.data.missing_hours import missing_in_words
from pipeline.data.store import SplitName, Store
from pipeline.data.unknown_classes import classes_in_words
from pipeline.data.unknown_columns import unknown_in_words
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation.worth import Worth
from pipeline.registry.retrain_run import Retrain
from pipeline.report import retrain_page
from pipeline.report.page import NOTHING_SERVES, REPORT, sentence
from pipeline.report.retrain_page import FieldIds, Reference, RetrainPage, Rows, Stage
from pipeline.retrain import warm_start
from pipeline.retrain.opponent import Opponent
from pipeline.retrain.promotion import Decision
from pipeline.retrain.trained import Trained
from pipeline.runtime.progress import Phase
from pipeline.training import results
from pipeline.training.checkpoint import Progress
from schemas.config import TrainConfig
from schemas.days import Span
from schemas.features import FeatureField
from schemas.plan import lineages
from schemas.redaction import redacted
from schemas.stage import StageConfig

COMPARED = ("ne", "auc", "log_loss", "accuracy", "macro_f1", "rmse", "mae")  # with what needs no model
SPLITS: dict[SplitName, str] = {"train": "Trained on", "validation": "Validated on", "test": "Held out"}


@dataclass(frozen=True, slots=True)
class Ended:
    """A retrain that is over; without a decision where nothing was registered."""

    trained: Trained
    opponent: Opponent | None = None
    decision: Decision | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    """Stage -> its version, of those that were registered beside the best one."""
    worth: Worth | None = None
    best_possible_ne: float | None = None
    was_begun: bool = False
    """An earlier call had begun it."""


def publish(run: Retrain, ended: Ended, phases: Sequence[Phase]) -> None:
    """As an artifact of the parent run; `phases` are those of what this call has done."""
    run.log_text(REPORT, retrain_page.render(_page(run, ended, phases)))


def _page(run: Retrain, ended: Ended, phases: Sequence[Phase]) -> RetrainPage:
    trained, decision = ended.trained, ended.decision
    is_alone = ended.opponent is None or ended.opponent.version is None
    config, inputs = trained.prepared.config, trained.prepared.inputs
    vocabulary = stores.read_vocabulary(trained.store.uri, config.data.features)
    log = {"log": inputs.manifest.fingerprint, "read from": redacted(config.data.logs_uri)}
    log["timezone of the days"] = config.data.timezone
    model = {"model": decision.version.uri} if decision else {}
    return RetrainPage(
        model=config.mlflow.registered_model,
        date=_span(inputs.test_days),
        outcome="trained" if decision is None else "promoted" if decision.verdict.promote else "kept",
        best=trained.best.name,
        lead=_lead(ended),
        became=NOTHING_SERVES if is_alone and decision and not decision.verdict.promote else "",
        reason=decision.verdict.reason if decision else "",
        notes=tuple(_notes(ended)),
        stages=tuple(_stage(stage, trained) for stage in config.plan),
        references=tuple(_references(ended)),
        splits=tuple(_splits(trained)),
        where=_where(config),
        lifts=trained.lifts,
        verdict=decision.verdict if decision else None,
        evidence=decision.evidence if decision else None,
        confidence=config.night.gate.confidence,
        sums={name: results.held_out_sums(trained.prepared.run_uri, name) for name in _no_controls(trained)},
        classes=vocabulary.classes,
        worth=ended.worth,
        fields=_fields(vocabulary),
        phases=tuple(phases),
        versions={**model, "MLflow run": run.run_id, "retrain": inputs.identity, "seed": str(config.seed), **log},
    )


def _lead(ended: Ended) -> str:
    best, decision = ended.trained.best.name, ended.decision
    before = ended.opponent.version if ended.opponent else None
    if decision is None:
        ne = ended.trained.results[best].get("ne")
        return f"the best stage is {best}{f', of NE {ne:.4f}' if ne is not None else ''}; nothing was registered"
    ours = f"version {decision.version.number} ({best})"
    if decision.verdict.promote:
        return f"{ours} is champion{f' in place of version {before.number}' if before else ', the first'}"
    return f"version {before.number} stays champion, and {ours} is rejected" if before else f"{ours} is rejected"


def _notes(ended: Ended) -> Iterator[str]:
    trained = ended.trained
    inputs = trained.prepared.inputs
    if ended.was_begun:
        yield "An earlier call had begun this retrain: times are those of the call that ended it."
    yield from (sentence(words) for words in trained.seen_before)
    others = [
        warm_start.in_words(trained.prepared.new_fields),
        classes_in_words(trained.store.unknown_classes),
        missing_in_words(inputs.manifest.missing_hours),
        unknown_in_words(inputs.manifest.unknown_columns),
        late_in_words(inputs.manifest.late_columns),
        in_words(inputs.manifest.left_aside),
    ]
    yield from (sentence(words) for words in others if words)
    yield from (f"{words}." for words in trained.prepared.left_open)  # which begin with a stage's name
    yield from (f"{stage} is {uri}." for stage, uri in ended.others.items())


def _stage(stage: StageConfig, trained: Trained) -> Stage:
    failure = trained.failures.get(stage.name, "")
    progress = None if failure else results.progress(trained.prepared.run_uri, stage.name)
    days, rows = _learned(stage, trained, progress)
    metrics = None if failure else results.held_out_sums(trained.prepared.run_uri, stage.name).metrics()
    model = results.CALLED[stage.model]
    return Stage(
        name=stage.name,
        model=model if stage.members == 1 else f"{stage.members} x {model}",
        start=redacted(stage.init_from or "random rows"),
        days=days,
        batch_size=stage.batch_size,
        rows=rows,
        rows_seen=progress.rows_seen if progress else 0.0,
        computed_by=_computed_by(progress) if progress else "",
        metrics=metrics,
        bounds=trained.intervals.get(stage.name, {}),
        validation_ne=progress.results.get("validation_ne") if progress else None,
        curve=_curve(stage, trained, progress) if progress else (),
        control_of=stage.control_of or "",
        failure=failure,
    )


def _references(ended: Ended) -> Iterator[Reference]:
    trained = ended.trained
    for name, figures in trained.baselines.items():
        yield Reference(
            name, {key: figures[key] for key in COMPARED if key in figures}, trained.intervals.get(name, {})
        )
    if ended.best_possible_ne is not None:
        yield Reference("best possible", {"ne": ended.best_possible_ne})


def _learned(stage: StageConfig, trained: Trained, progress: Progress | None) -> tuple[str, int | None]:
    """Its days in words, and the rows that a pass goes over; a control's days are known by what it came to alone."""
    if stage.days == "affordable":
        if progress is None or "days" not in progress.settings:
            return "as many as its time buys", None
        span = Span(oldest=int(progress.settings["days"].partition(",")[0]))
    else:
        span = trained.prepared.config.span_of(stage)
    own: Store = trained.store.of_span(span, stage.negative_share)
    return _span(sorted({part.day for part in own.of_split("train")})), own.num_rows("train")


def _computed_by(progress: Progress) -> str:
    found = progress.settings
    words = [found.get("kernel", ""), found.get("precision", "")]
    return ", ".join(filter(None, [*words, _count(int(found["threads"]), "thread") if "threads" in found else ""]))


def _where(config: TrainConfig) -> str:
    least, most = config.cluster.least_workers, config.cluster.most_workers
    if not most:
        return "In the command's own process."
    return f"On {least} to {most} workers." if least < most else f"On {_count(most, 'worker')}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _curve(stage: StageConfig, trained: Trained, progress: Progress) -> tuple[tuple[float, float], ...]:
    """By seconds, at the stage's mean pace; it begins when those have ended that it comes from."""
    run_uri, plan = trained.prepared.run_uri, trained.prepared.config.plan
    earlier = [one for one in lineages(plan)[stage.name] if one in trained.results]
    before = sum(results.progress(run_uri, one).seconds for one in earlier)
    pace = progress.seconds / max(1, progress.rows_seen)
    return tuple((before + rows_seen * pace, ne) for rows_seen, ne in progress.curve)


def _splits(trained: Trained) -> Iterator[Rows]:
    inputs = trained.prepared.inputs
    for split, name in SPLITS.items():
        rows = trained.store.num_rows(split)
        days = {"train": _span(inputs.train_days), "test": _span(inputs.test_days)}.get(split, "")
        if rows:
            clicks = trained.store.num_positives(split) if trained.store.target.objective == "binary" else None
            yield Rows(name, rows, clicks, days)


def _no_controls(trained: Trained) -> list[str]:
    controls = {stage.name for stage in trained.prepared.config.plan if stage.control_of}
    return [name for name in trained.results if name not in controls]


def _fields(vocabulary: Vocabulary) -> tuple[FieldIds, ...]:
    counted = pc.value_counts(vocabulary.values["field"].combine_chunks())
    learned = {one["values"]: one["counts"] for one in counted.to_pylist()}
    of_name = {one.name: one for one in vocabulary.fields}
    return tuple(
        FieldIds(one.name, one.kind.replace("_", "-"), _encoder_in_words(one), num_ids)
        for one in vocabulary.spec.fields
        # Beside its values and buckets a field has an id for those that are unknown, and one for none.
        if (num_ids := learned.get(one.name, 0) + block_size(one, of_name[one.name]) + 2)
    )


def _encoder_in_words(field: FeatureField) -> str:
    settings = field.encoder.model_dump(mode="json", exclude={"type"})
    told = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{field.encoder.type.replace('_', ' ')}{f', {told}' if told else ''}"


def _span(days: Sequence[date]) -> str:
    if not days:
        return "no day"
    return str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
