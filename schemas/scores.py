"""Scored output: the columns of its files, what a day's `_SUCCESS` says, and that every score is a number."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from schemas.errors import Failure
from schemas.features import FROZEN, FeatureSpec

PROBABILITY = "probability"
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


def scores_schema(spec: FeatureSpec, row_key_type: pa.DataType | None) -> pa.Schema:
    """Row key (where the spec names one), float32 click probability, and the URI of the model that gave it."""
    key = [pa.field(spec.row_key, row_key_type)] if spec.row_key else []
    return pa.schema([*key, pa.field(PROBABILITY, pa.float32()), pa.field(MODEL_VERSION, pa.string())])


def require_finite(scores: NDArray[np.float32], where: str) -> None:
    """Raise Failure for rows of which the model makes no number, as of one far beyond those that it was trained on."""
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        raise Failure(
            f"{where}: the model makes no finite score of {np.count_nonzero(~is_finite):,} of {len(scores):,} rows; "
            "look in them for a number far beyond those of the training days"
        )
