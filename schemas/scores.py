"""Scored output: the columns of its files, what a day's `_SUCCESS` says, and that every score is a number."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from schemas.errors import Failure
from schemas.features import FROZEN, FeatureSpec, Objective

PROBABILITY, PREDICTION = "probability", "prediction"
MODEL_VERSION = "model_version"


class DayScores(BaseModel):
    """`_SUCCESS` of a day's folder, its last file: the same again is the same scores."""

    model_config = FROZEN
    model_uri: str
    model_sha256: str
    """Digest of the bundle's contents: a URI may come to name another model."""
    manifest: str
    """Fingerprint of the day's files in the log."""
    rows: NonNegativeInt
    sizes: dict[str, NonNegativeInt] = {}
    """Bytes of each other file of the folder, when it was complete."""


def score_columns(objective: Objective, classes: Sequence[str]) -> tuple[str, ...]:
    """What a model says of a row: the probability of a click, that of each class, or a number."""
    match objective:
        case "binary":
            return (PROBABILITY,)
        case "multiclass":
            return tuple(f"{PROBABILITY}_{name}" for name in classes)
        case "regression":
            return (PREDICTION,)


def scores_schema(spec: FeatureSpec, row_key_type: pa.DataType | None, columns: Sequence[str]) -> pa.Schema:
    """Row key (where the spec names one), the float32 `columns`, and the URI of the model that gave them."""
    key = [pa.field(spec.row_key, row_key_type)] if spec.row_key else []
    scores = [pa.field(name, pa.float32()) for name in columns]
    return pa.schema([*key, *scores, pa.field(MODEL_VERSION, pa.string())])


def require_finite(scores: NDArray[np.float32], where: str) -> None:
    """Raise Failure for rows of which the model makes no number, as of one far beyond those that it was trained on.

    `scores`: [R], or several a row, [R, C].
    """
    is_finite = np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))
    if not is_finite.all():
        raise Failure(
            f"{where}: the model makes no finite score of {np.count_nonzero(~is_finite):,} of {len(scores):,} rows; "
            "look in them for a number far beyond those of the training days"
        )
