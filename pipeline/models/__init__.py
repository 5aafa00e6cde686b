"""The models, one file a paper: from the rows that a batch looks up to logits [B], or [M, B] of M members.

Of C classes there are as many logits a row, [B, C] or [M, B, C]. What is served of them says `served`.

What a paper calls a model may enter; optimizers, devices, paths and the table itself may not.

Each has a parameter w0, the global bias, a scalar or [C], which a stage takes over from an earlier one together with
the rows.
"""

from collections.abc import Callable
from typing import TypeAlias

from pipeline.models.deepfm import DeepFM
from pipeline.models.dnn import DNN
from pipeline.models.fm import FM
from pipeline.models.fnn import FNN
from pipeline.models.served import served as served
from schemas.stage import MLPConfig, ModelName, StageConfig

CTRModel: TypeAlias = FM | DNN | FNN | DeepFM

MODELS: dict[ModelName, Callable[[int, int, MLPConfig, int, int, int], CTRModel]] = {
    "fm": lambda num_fields, dimension, mlp, seed, members, outputs: FM(dimension, seed, outputs),
    "dnn": DNN,
    "fnn": FNN,
    "deepfm": DeepFM,
}


def build(stage: StageConfig, num_fields: int, dimension: int, seed: int, outputs: int = 1) -> CTRModel:
    """The stage's model of so many outputs a row, its layers drawn from `seed`; FM has none, and no members."""
    return MODELS[stage.model](num_fields, dimension, stage.mlp, seed, stage.members, outputs)
