"""The models, one file a paper: from the rows that a batch looks up to logits [B], or [M, B] of M members.

What a paper calls a model may enter; optimizers, devices, paths and the table itself may not.

Each has a scalar parameter w0, the global bias, which a stage takes over from an earlier one together with the rows.
"""

from collections.abc import Callable
from typing import TypeAlias

from pipeline.models.deepfm import DeepFM
from pipeline.models.dnn import DNN
from pipeline.models.fm import FM
from pipeline.models.fnn import FNN
from pipeline.models.members import served as served
from schemas.stage import MLPConfig, ModelName

CTRModel: TypeAlias = FM | DNN | FNN | DeepFM

MODELS: dict[ModelName, Callable[[int, int, MLPConfig, int, int], CTRModel]] = {
    "fm": lambda num_fields, dimension, mlp, seed, members: FM(),  # it has no layers, so that none of the five matters
    "dnn": DNN,
    "fnn": FNN,
    "deepfm": DeepFM,
}


def build(name: ModelName, num_fields: int, dimension: int, mlp: MLPConfig, seed: int, members: int = 1) -> CTRModel:
    """The model of that name, its layers drawn from `seed`. FM has no layers and leaves `mlp` and `members` aside."""
    return MODELS[name](num_fields, dimension, mlp, seed, members)
