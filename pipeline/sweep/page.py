"""The page of a sweep, made of what its trials came to."""

import json
from collections.abc import Mapping, Sequence

from pipeline.report import sweep_page
from pipeline.report.sweep_page import Key, SweepPage, Trial
from pipeline.runtime.progress import Phase
from pipeline.sweep import outcome
from pipeline.sweep.neighbours import Around
from pipeline.sweep.outcome import Outcome, Summary
from schemas.sweep import SweepConfig, Values


def render(
    summary: Summary, settings: SweepConfig, around: Around, phases: Sequence[Phase], log: Mapping[str, str]
) -> str:
    """In HTML; `log` says of which rows it is, by name."""
    trials = tuple(_trial(one, settings) for one in outcome.ranked(summary.outcomes))
    stopped = sum(0 < len(one.looks) < one.num_looks for one in summary.outcomes if not one.failure)
    notes = [f"{stopped} of {len(trials)} trials were stopped early"] if stopped else []
    if summary.num_seeds == 1:
        notes.append("each trial was trained with one seed, which may be a lucky one: --seeds 3 tells")
    page = SweepPage(
        stage=summary.stage,
        best=summary.best_trial,
        keys=tuple(Key(key, _drawn_from(values), summary.at_bounds.get(key)) for key, values in settings.space.items()),
        trials=trials,
        beside_ne=summary.beside_ne,
        axes=outcome.axes(settings, summary.outcomes),
        bounds=around.bounds,
        neighbours=around.neighbours,
        notes=tuple(notes),
        phases=tuple(phases),
        versions={"MLflow run": summary.run_id, "sweep": summary.identity, **log},
    )
    return sweep_page.render(page)


def _trial(one: Outcome, settings: SweepConfig) -> Trial:
    judged = one.judged
    return Trial(
        number=one.number,
        values=tuple(_in_words(one.values[key]) for key in settings.space),
        looks=f"{len(one.looks)} of {one.num_looks}" if one.num_looks else "none",
        num_seeds=judged.num_seeds if judged else 0,
        ne=judged.ne if judged else None,
        beside=judged.beside if judged else None,
        deviations=judged.deviations if judged else None,
        failure=one.failure,
    )


def _in_words(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _drawn_from(values: Values) -> str:
    if values.choice is not None:
        return ", ".join(map(_in_words, values.choice))
    assert values.bounds is not None
    low, high = values.bounds
    kind = "by its logarithm" if values.log_uniform else "whole numbers" if values.integer else ""
    return ", ".join(filter(None, [f"{low:g} to {high:g}", kind]))
