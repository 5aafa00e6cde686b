"""What MLflow is told of a retrain beside its figures: the rows that it learned from and was judged on."""

from collections.abc import Sequence
from datetime import date

from pipeline.data.store import SplitName, Store
from pipeline.registry.datasets import Context, LogRows
from pipeline.retrain.dataset import Inputs
from schemas.config import TrainConfig
from schemas.stage import StageConfig


def rows_of(config: TrainConfig, inputs: Inputs, store: Store, stage: StageConfig | None = None) -> list[LogRows]:
    """Which rows the retrain, or a stage of it, learns from and is judged on."""
    own, days = store, inputs.train_days
    if stage is not None:
        span = config.span_of(stage)
        own, days = store.of_span(span, stage.negative_share), span.of(days)
    of_context: dict[Context, tuple[Sequence[date], SplitName]] = {
        "training": (days, "train"),
        "validation": (inputs.split.validation_days or inputs.train_days, "validation"),
        "evaluation": (inputs.test_days, "test"),
    }
    return [
        LogRows(context, config.data.logs_uri, its, own.num_rows(split), inputs.manifest.of_days(its).fingerprint)
        for context, (its, split) in of_context.items()
    ]
