"""The morning's page of a night, made of what it has found out, and where it stands in MLflow."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from pipeline.data.late_columns import late_in_words
from pipeline.data.missing_hours import missing_in_words
from pipeline.data.unknown_classes import classes_in_words
from pipeline.data.unknown_columns import unknown_in_words
from pipeline.data.vocabulary import Vocabulary
from pipeline.evaluation.row_sums import RowSums
from pipeline.nights import history, records
from pipeline.nights.progress import Looks, NightProgress
from pipeline.nights.records import Move, Night
from pipeline.profiles.bounds import Kind
from pipeline.profiles.psi import field_psi
from pipeline.registry import metric_names
from pipeline.registry.retrain_run import Retrain
from pipeline.registry.tags import NEW_FIELDS, OUTCOME, SERVES, START, UNKNOWN_CLASSES, UNKNOWN_COLUMNS
from pipeline.report import html
from pipeline.report.page import REPORT, ColumnProfile, DataProfile, Growth, Page, sentence, two_sentences
from pipeline.report.page import Night as ProgressiveNight
from pipeline.retrain import warm_start
from schemas.config import TrainConfig

MOST_ENTRIES = 14  # of what served
MOST_NIGHTS = 60  # of progressive validation that the page draws


def publish(run: Retrain, night: Night, progress: NightProgress, config: TrainConfig, before: Sequence[Night]) -> None:
    """The page as an artifact, its gist as the run's description, and the night's figures."""
    page = _page(night, progress, config, before)
    run.log_text(REPORT, html.render(page))
    run.describe(two_sentences(page))
    run.rename(night.became)
    unknown = unknown_in_words(progress.tonight.days.manifest.unknown_columns)
    new = ", ".join(progress.tonight.new_fields)
    tags = {
        OUTCOME: night.became,
        START: night.start,
        SERVES: _serves(progress),
        UNKNOWN_COLUMNS: unknown,
        UNKNOWN_CLASSES: classes_in_words(progress.unknown_classes),
        NEW_FIELDS: new,
    }
    for tag, value in tags.items():
        if value:
            run.set_tag(tag, value)
    run.log_final("total/seconds", {name.replace(" ", "_"): seconds for name, seconds in night.seconds.items()})
    data = _data(progress.looks, config.night.quality.trailing_days)
    run.log_final("today", _figures(data))
    names = metric_names.of_columns(one.name for one in data.columns)
    run.log_final("unseen", {names[one.name]: one.unseen for one in data.columns if one.unseen is not None})
    run.log_final("vocabulary", {"num_ids": float(night.num_ids)} if night.num_ids else {})


def _page(night: Night, progress: NightProgress, config: TrainConfig, before: Sequence[Night]) -> Page:
    decision, tonight = progress.decision, progress.tonight
    last = next((one for one in reversed(before) if one.worth and one.day < night.day), None)
    return Page(
        model=config.mlflow.registered_model,
        date=_span(night.held_out_days),
        outcome=night.outcome,
        candidate=_candidate_in_words(progress),
        champion=f"version {tonight.champion.number}" if tonight.champion else "",
        why=night.verdict if night.outcome == "stopped" else "",
        notes=_notes(progress),
        verdict=decision.verdict if decision else None,
        evidence=decision.evidence if decision else None,
        confidence=config.night.gate.confidence,
        curves=_curves(progress),
        classes=decision.bundle.vocabulary.classes if decision else (),
        nights=_progress([*before, night]),
        history=_history(night, before, records.moves_of(config)),
        worth=progress.worth,
        worth_before=last.worth if last else {},
        worth_of=str(last.day) if last else "",
        profile=_data(progress.looks, config.night.quality.trailing_days),
        growth=_growth(
            tonight.bundle.vocabulary if tonight.bundle else None, decision.bundle.vocabulary if decision else None
        ),
        phases=night.phases,
        versions={
            "serves now": night.champion_uri or "nothing",
            "MLflow run": night.run_id,
            "night": night.key,
            "log": tonight.days.manifest.fingerprint,
            "timezone of the days": config.data.timezone,
        },
    )


def _serves(progress: NightProgress) -> str:
    return f"version {progress.serves.number}" if progress.serves else "nothing"


def _candidate_in_words(progress: NightProgress) -> str:
    if progress.decision is None:
        return ""
    version, stage = progress.decision.version, progress.decision.bundle.stage
    if version == progress.tonight.champion and not progress.decision.verdict.promote:
        return ""  # what goes on serving, since nothing was trained, is not rejected
    served = progress.serves
    and_learned = f", and as version {served.number} has learned the day" if _has_learned(progress) and served else ""
    return f"version {version.number} ({stage.model}, stage {stage.name}{and_learned})"


def _has_learned(progress: NightProgress) -> bool:
    """Whether what serves now is the candidate after the day itself."""
    decision, serves = progress.decision, progress.serves
    return bool(decision and serves and decision.verdict.promote and serves.number != decision.version.number)


def _notes(progress: NightProgress) -> tuple[str, ...]:
    tonight, trained = progress.tonight, progress.trained
    days = tonight.inputs.train_days
    notes = [f"Start: {tonight.start}, for {tonight.why}."]
    if tonight.new_fields:
        notes.append(sentence(warm_start.in_words(tonight.new_fields)))
    if trained:
        passes = trained.rows_seen / max(1, trained.rows_trained)
        words = f"{passes:.3g} pass{'es' * (passes != 1)} in all stages"
        notes.append(f"Trained on {_span(days)}: {trained.rows_trained:,} rows, {words}.")
        notes += [f"{why}." for why in trained.failures.values()]
        notes += map(sentence, trained.seen_before)
        notes += [f"{words}." for words in trained.lifts]
    without = ", ".join(f"{name} NE {figures['ne']:.4f}" for name, figures in progress.baselines.items())
    if without:
        notes.append(f"Without a model, on the same rows: {without}.")
    if tonight.days.missing:
        notes.append(
            f"Days that the log does not have: {', '.join(map(str, tonight.days.missing[:10]))}"
            f"{' ...' if len(tonight.days.missing) > 10 else ''}."
        )
    manifest = tonight.days.manifest
    told = [
        missing_in_words(manifest.missing_hours),
        unknown_in_words(manifest.unknown_columns),
        late_in_words(manifest.late_columns),
        classes_in_words(progress.unknown_classes),
    ]
    notes += map(sentence, filter(None, told))
    return tuple(notes)


def _curves(progress: NightProgress) -> dict[str, RowSums]:
    curves = {}
    if progress.decision:
        curves["candidate"] = progress.decision.held_out.sums
    if progress.opponent and progress.opponent.held_out:
        curves["champion"] = progress.opponent.held_out.sums
    return curves


def _history(night: Night, before: Sequence[Night], moves: Sequence[Move]) -> tuple[tuple[str, str, str], ...]:
    """The newest first; an earlier attempt of this night, which was stopped, is not told."""
    others = [one for one in before if (one.day, one.key) != (night.day, night.key)]
    entries = history.history(sorted([*others, night], key=lambda one: one.day), moves, night.champion_uri)
    return tuple((entry.when, entry.what, entry.served_in_short) for entry in entries[-MOST_ENTRIES:][::-1])


def _progress(nights: Sequence[Night]) -> tuple[ProgressiveNight, ...]:
    """NE of each night's champion by day, the newest record of a day counting."""
    of_day = {}
    for night in nights:
        for day, figures in night.progressive.items():
            of_day[day] = ProgressiveNight(
                date.fromisoformat(day), figures.get("ne"), was_promoted=night.outcome == "promoted"
            )
    return tuple(of_day[day] for day in sorted(of_day)[-MOST_NIGHTS:])


def _data(looks: Looks, trailing_days: int) -> DataProfile:
    """What the page tells of the new day's data, or of that of the held-out days together."""
    new, trailing = looks.new, looks.trailing[-trailing_days:]
    rows, clicks = sum(one.rows for one in trailing), sum(one.positives or 0 for one in trailing)

    def of_field(name: str, kind: Kind) -> tuple[str, ...]:
        return tuple(f"{one.what}: {one.against}" for one in looks.breaches if (one.field, one.kind) == (name, kind))

    return DataProfile(
        rows=new.rows,
        label_rate=new.label_rate,
        bad_rows=new.bad_rows,
        trailing_rows=rows / len(trailing) if trailing else None,
        trailing_label_rate=None if new.positives is None or not rows else clicks / rows,
        num_days=new.num_days,
        columns=tuple(
            ColumnProfile(
                name=name,
                nulls=field.null_share,
                distinct=field.num_distinct,
                unseen=field.unseen_share,
                psi=field_psi(field, [one.fields[name] for one in trailing if name in one.fields]),
                breaches=of_field(name, "broken"),
                unusual=of_field(name, "unusual"),
            )
            for name, field in new.fields.items()
        ),
        breaches=tuple(one.words for one in looks.breaches if (one.field, one.kind) == ("", "broken")),
        unusual=tuple(one.words for one in looks.breaches if (one.field, one.kind) == ("", "unusual")),
    )


def _figures(data: DataProfile) -> dict[str, float]:
    found = {"rows": float(data.rows), "label_rate": data.label_rate, "bad_rows": float(data.bad_rows)}
    return {name: value for name, value in found.items() if value is not None}


def _growth(before: Vocabulary | None, after: Vocabulary | None) -> tuple[Growth, ...]:
    if after is None:
        return ()
    had, has = (Counter(v.values.column("field").to_pylist()) if v else Counter() for v in (before, after))
    names = [field.name for field in after.spec.fields if has[field.name]]
    return tuple(Growth(name, had[name], max(0, has[name] - had[name])) for name in names)


def _span(days: Sequence[date]) -> str:
    if not days:
        return "no day"
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
