"""A config as a file for people: what suits the rows of its log, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.intake.holding_out import HeldOut
from pipeline.intake.yaml_lines import comment, flow, place
from schemas.partitioning import BY_DAY, Partitioning

FEW_ROWS = 300_000  # which train in seconds, so that no Ray Train job need be started for them
MANY_ROWS = 10_000_000  # from which on large batches are worth their speed, as stages have them that leave theirs open
HISTORY_ROWS = 1_000_000  # from which on the net has the newest days alone, and FM, whose rows are cheap, all before
HISTORY_DAYS = 14
NEWEST_DAYS = 7
BATCH = {"batch_size": 512, "embedding": {"l2": 1e-4}}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a config is drawn up by. Rows and days are 0 where nobody knows them yet."""

    logs: str
    """As the config has it: relative to its folder, or a URI."""
    partitioning: Partitioning
    timezone: str
    features: str
    model_name: str
    verb: str
    """By which it is written."""
    total_rows: int
    num_days: int
    held_out: HeldOut


def text(drawn: Drawn, config_name: str) -> str:
    return "\n".join([*_lines(drawn, config_name), ""])


def _lines(drawn: Drawn, config_name: str) -> Iterator[str]:
    yield f"# nightjar train --config {config_name}"
    yield "#"
    yield from comment(
        f"Written by `nightjar {drawn.verb}`. Paths are relative to this file. What a stage leaves open of batch size, "
        "passes and L2 goes by its rows. Every key is described in schemas/README.md."
    )
    yield "data:"
    yield f"  logs_uri: {place(drawn.logs)}"
    if drawn.partitioning != BY_DAY:
        yield f"  partitioning: {flow(drawn.partitioning.model_dump())}"
    if drawn.timezone != "UTC" or drawn.partitioning.by == "column":
        yield f"  timezone: {place(drawn.timezone)} # where days begin at midnight"
    yield f"  features: {place(drawn.features)}"
    yield from comment(drawn.held_out.words, indent=2)
    if drawn.held_out.split:
        yield f"  split: {flow(drawn.held_out.split)}"
    yield f"table: {flow({'dimension': 16, 'init_deviation': 0.05})}"
    yield from _stages(drawn)
    if drawn.total_rows < FEW_ROWS:
        yield f"cluster: {flow({'num_workers': 0})} # few rows: in the command's own process, without Ray"
    yield f"mlflow: {flow({'registered_model': drawn.model_name})}"


def _stages(drawn: Drawn) -> Iterator[str]:
    """FM, then DeepFM from its rows: what the log's size and days make best, by the studies of tests/benchmarks."""
    has_history = drawn.total_rows >= HISTORY_ROWS and drawn.num_days > HISTORY_DAYS and not drawn.held_out.split
    sized = BATCH if FEW_ROWS <= drawn.total_rows < MANY_ROWS else {}
    yield "stages:"
    yield "  - name: fm"
    yield "    model: fm"
    if has_history:
        yield "    days: {before: deepfm} # a net learns most from rows whose labels FM has not seen"
    yield from (f"    {key}: {flow(value)}" for key, value in sized.items())
    yield "  - name: deepfm"
    yield "    model: deepfm"
    yield "    init_from: fm"
    if has_history:
        yield f"    days: {flow({'last': NEWEST_DAYS})}"
    yield from (f"    {key}: {flow(value)}" for key, value in sized.items())
    if sized:
        yield f"    optimizer: {flow({'learning_rate': 0.002})}"
    yield f"    mlp: {flow({'hidden': [300, 100]})}"
