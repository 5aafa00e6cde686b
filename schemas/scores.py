"""Scored output: the columns of its files, and what a day's `_SUCCESS` says."""

import pyarrow as pa
from pydantic import BaseModel, NonNegativeInt

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


def scores_schema(spec: FeatureSpec, row_key_type: pa.DataType | None) -> pa.Schema:
    """Row key (where the spec names one), float32 click probability, and the URI of the model that gave it."""
    key = [pa.field(spec.row_key, row_key_type)] if spec.row_key else []
    return pa.schema([*key, pa.field(PROBABILITY, pa.float32()), pa.field(MODEL_VERSION, pa.string())])
