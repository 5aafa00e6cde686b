"""`nightjar config check`: what a config comes to, and what it would take, without doing it."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from jobs.console import ProgressView, tell
from jobs.options import AsJson, Overrides
from jobs.places import load_config
from schemas.redaction import redacted_tree

if TYPE_CHECKING:
    from pipeline.retrain.estimate import Estimate

app = typer.Typer(no_args_is_help=True)
MOST_FIELDS = 5  # whose ids are named


@app.callback()
def config() -> None:
    """Look at a config before it is used.

    Example: `nightjar config check jobs/configs/demo.yaml`
    """


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The config, a YAML file.")],
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show the config as it is resolved, the days that it finds, and the ids, memory and disk that it would take.

    Trains, writes and records nothing, and starts no Ray. Ids are counted; those of more than two million rows are
    estimated from a part of them. Exits 2 for what `train` would refuse.

    Example: `nightjar config check jobs/configs/demo.yaml --set table.dimension=32`
    """
    loaded = load_config(file, set_)
    from pipeline.retrain import estimate

    with ProgressView() as show:
        found = estimate.of_retrain(loaded, show)
    if as_json:
        print(json.dumps(in_json(found)))
    else:
        print(yaml.safe_dump(redacted_tree(found.config.model_dump(mode="json")), sort_keys=False, allow_unicode=True))
        for name, words in _lines(found).items():
            tell(f"{name:<9} {words}", indent=10)
    estimate.require_room(found)


def _lines(found: "Estimate") -> dict[str, str]:
    """Name -> what is said of it."""
    from pipeline.retrain import disk

    manifest, ids = found.inputs.manifest, found.ids
    days = manifest.days
    held_out = found.inputs.test_days
    how = "counted" if ids.is_exact else f"estimated from {ids.counted_rows:,} rows of all over the log"
    largest = sorted(ids.by_field.items(), key=lambda one: -one[1])[:MOST_FIELDS]
    free = "no end" if found.free_bytes is None else disk.in_mb(found.free_bytes)
    return {
        "days": f"{len(days)}, {days[0]} to {days[-1]}{_gaps(days)}",
        "rows": f"{manifest.num_rows:,}",
        "hold out": "rows drawn by their key" if found.inputs.split.by_key else _span(held_out),
        "ids": f"{'' if ids.is_exact else 'about '}{ids.num_ids:,}, {how}; most of "
        + ", ".join(f"{name} ({number:,})" for name, number in largest),
        "memory": f"{disk.in_mb(found.memory.rank_bytes)} a rank, {disk.in_mb(found.table_bytes)} of them the table's: "
        f"{ids.num_ids:,} ids x {found.memory.num_floats} floats, and an accumulator each; this machine has "
        f"{disk.in_mb(found.memory_bytes)}",
        "disk": f"at most {found.disk}; {free} there",
    }


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"


def _gaps(days: Sequence[date]) -> str:
    """How many days between them the log does not have."""
    missing = (days[-1] - days[0]).days + 1 - len(days)
    return f"; {missing:,} between them are not there" if missing else ""


def in_json(found: "Estimate") -> dict[str, Any]:
    """Bytes, and the config without secrets."""
    manifest, ids = found.inputs.manifest, found.ids
    return {
        "config": redacted_tree(found.config.model_dump(mode="json")),
        "days": [str(day) for day in manifest.days],
        "held_out_days": [str(day) for day in found.inputs.test_days],
        "rows": manifest.num_rows,
        "ids": {"total": ids.num_ids, "by_field": ids.by_field, "counted_rows": ids.counted_rows},
        "memory": {
            "table_bytes": found.table_bytes,
            "rank_bytes": found.memory.rank_bytes,
            "ranks": found.memory.num_ranks,
            "machine_bytes": found.memory_bytes,
        },
        "disk": {"bytes": found.disk.num_bytes, "free_bytes": found.free_bytes},
    }
