"""What stages have where their config does not say: by the rows that each one learns from."""

from pipeline.retrain.dataset import Inputs
from schemas import defaults
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.data import RandomSplit
from schemas.stage import StageConfig


def completed(config: TrainConfig, inputs: Inputs) -> tuple[TrainConfig, tuple[str, ...]]:
    """The config with all that its stages leave open said; and a sentence for each stage that left some.

    The rows are those that the footers of the log count, before bad ones, negatives and those of validation go.
    """
    stages, sentences = [], []
    for stage in config.stages:
        num_rows = _num_rows(stage, config, inputs)
        own = defaults.completed(stage, num_rows, config.cluster.most_workers)
        stages.append(own)
        sentences.append(defaults.in_words(stage, own, num_rows))
    return derived(config, stages=tuple(stages)), tuple(filter(None, sentences))


def _num_rows(stage: StageConfig, config: TrainConfig, inputs: Inputs) -> int:
    days = config.span_of(stage).of(inputs.train_days)
    split = config.data.split
    share = 1 - split.test_share if isinstance(split, RandomSplit) else 1.0
    return round(inputs.manifest.of_days(days).num_rows * share)
