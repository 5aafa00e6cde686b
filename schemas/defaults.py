"""Batch size, passes and L2 of a stage whose config does not say them, by the rows that it learns from.

What suits ten million rows leaves a model of ten thousand untrained: a pass in batches of 4,096 is three steps.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.stage import StageConfig

SMALLEST_BATCH, LARGEST_BATCH = 64, 4096
STEPS_A_PASS = 500
TWICE_BELOW_ROWS = 100_000
HELD_BACK = 0.05  # l2 times batch size: the pull on a row beside the gradient of one of the batch's rows


class Defaults(NamedTuple):
    """What a stage has where nobody says otherwise."""

    batch_size: int
    epochs: float
    l2: float


def by_rows(num_rows: int) -> Defaults:
    """Batches are powers of two. A row's gradient is a share of its batch, and so is its L2."""
    batch_size = SMALLEST_BATCH
    while batch_size < LARGEST_BATCH and batch_size * STEPS_A_PASS < num_rows:
        batch_size *= 2
    return Defaults(batch_size, 2.0 if num_rows < TWICE_BELOW_ROWS else 1.0, HELD_BACK / batch_size)


def left_open(stage: StageConfig) -> tuple[str, ...]:
    """Which of these keys its config does not say."""
    keys = [name for name in ("batch_size", "epochs") if name not in stage.model_fields_set]
    says_l2 = "embedding" in stage.model_fields_set and "l2" in stage.embedding.model_fields_set
    return (*keys, *([] if says_l2 else ["embedding.l2"]))


def completed(stage: StageConfig, num_rows: int, least_batch: int) -> StageConfig:
    """The stage with all of them said, its batches not below `least_batch`, so that each worker has rows of each.

    What goes on from a registered model makes one pass: it has learned from more rows than these.
    """
    found = by_rows(num_rows)
    batch_size = max(found.batch_size, least_batch) if "batch_size" in left_open(stage) else stage.batch_size
    epochs = 1.0 if stage.starts_from_model else found.epochs
    return _filled(stage, Defaults(batch_size, epochs, HELD_BACK / batch_size))


def as_it_was(stage: StageConfig, trained: StageConfig) -> StageConfig:
    """For a stage that goes on with a model: what is left open as that was trained with, in one pass."""
    return _filled(stage, Defaults(trained.batch_size, 1.0, trained.embedding.l2))


def _filled(stage: StageConfig, own: Defaults) -> StageConfig:
    keys = left_open(stage)
    changes: dict[str, Any] = {key: value for key, value in own._asdict().items() if key in keys}
    if "embedding.l2" in keys:
        changes["embedding"] = derived(stage.embedding, l2=own.l2)
    return derived(stage, **changes)


def in_words(stage: StageConfig, own: StageConfig, num_rows: int) -> str:
    """What a completed stage has that its config did not say, where that is not what a large log's has anyway."""
    said = {
        "batch_size": f"batches of {own.batch_size:,}" if own.batch_size != stage.batch_size else "",
        "epochs": f"{own.epochs:g} passes" if own.epochs != stage.epochs else "",
        "embedding.l2": f"an L2 of {own.embedding.l2:.2g}" if own.embedding.l2 != stage.embedding.l2 else "",
    }
    keys = [key for key in left_open(stage) if said[key]]
    words = ", ".join(said[key] for key in keys)
    return f"{stage.name}: {words}, for its {num_rows:,} rows; its config leaves {', '.join(keys)} open" if keys else ""


def tree_of(config: TrainConfig, exclude: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Its keys and values, less what its stages leave open: read again, it leaves the same open."""
    tree = config.model_dump(mode="json", exclude=dict(exclude or {}))
    tree["stages"] = [_said(one, stage) for one, stage in zip(tree["stages"], config.stages, strict=True)]
    return tree


def _said(tree: dict[str, Any], stage: StageConfig) -> dict[str, Any]:
    keys = left_open(stage)
    own = {key: value for key, value in tree.items() if key not in keys}
    if "embedding.l2" in keys:
        own["embedding"] = {key: value for key, value in own["embedding"].items() if key != "l2"}
    return own
