"""`nightjar plan`: what tonight would do, without doing it."""

from typing import TYPE_CHECKING

from jobs.console import tell
from jobs.nightly import NightDate
from jobs.options import ConfigPath, Overrides
from jobs.places import load_config
from schemas.config import TrainConfig
from schemas.night import day_of

if TYPE_CHECKING:
    from pipeline.nights.plan import Tonight


def plan(config: ConfigPath, date: NightDate = "auto", set_: Overrides = None) -> None:
    """Show the days, the start, the champion and what each stage of a night would take, or why it would be refused.

    Trains and records nothing.

    Example: `nightjar plan --config jobs/configs/nightly.yaml`
    """
    loaded = load_config(config, set_)
    from pipeline.nights import over, plan
    from pipeline.nights.days import choose_days
    from pipeline.registry.tracking import find
    from pipeline.retrain import disk

    days = choose_days(loaded, None if date == "auto" else day_of(date))
    before = over.find(loaded, days)
    if before and not before.rewritten:
        tell(f"The night of {days.day} is over already: {before.night.became}: {before.night.verdict}")
        if before.words:
            tell(f"It was {before.words}")
        return
    tonight = plan.plan(days, find(loaded.mlflow, loaded.work_uri))
    for name, words in _lines(tonight, loaded).items():
        tell(f"{name:<13} {words}", indent=14)
    disk.check(loaded, tonight.disk_need)


def _lines(tonight: "Tonight", config: TrainConfig) -> dict[str, str]:
    """Name -> what is said of it."""
    from pipeline.data.missing_hours import missing_in_words
    from pipeline.nights import records
    from pipeline.nights.expected import expected, time_in_words
    from pipeline.retrain import disk, stage_days, warm_start

    new = warm_start.in_words(tonight.new_fields)
    days, inputs, free = tonight.days, tonight.inputs, disk.free_bytes(config)
    trained_on, held_out = (inputs.manifest.of_days(of) for of in (inputs.train_days, inputs.test_days))
    nights = records.all_of(config)
    stages = expected(tonight, nights)
    seen = stage_days.seen_before(tonight.config, inputs.train_days, inputs.learned_before) if stages else ()
    return {
        "night": f"{days.day}, key {days.key}",
        "champion": tonight.champion.uri if tonight.champion else "none yet",
        "start": f"{tonight.start}: {tonight.why}",
        **({"new fields": new.partition(": ")[2]} if new else {}),
        "stages": ", ".join(stage.name for stage in tonight.stages) or "none",
        "train on": f"{trained_on.num_rows:,} rows of {len(trained_on.days)} days"
        + (f", {trained_on.days[0]} to {trained_on.days[-1]}" if trained_on.days else ""),
        **{f"train {stage.name}": stage.in_words() for stage in stages},
        **({"seen before": "; ".join(seen)} if seen else {}),
        "time": time_in_words(stages, nights),
        "hold out": f"{held_out.num_rows:,} rows of {held_out.days[0]} to {held_out.days[-1]}",
        "missing days": ", ".join(map(str, days.missing)) or "none",
        **({"missing hours": missing} if (missing := missing_in_words(days.manifest.missing_hours)) else {}),
        "disk": f"at most {tonight.disk_need}; {'no end' if free is None else disk.in_mb(free)} there",
    }
