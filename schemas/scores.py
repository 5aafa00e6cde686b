"""The columns of scored output."""

import pyarrow as pa

from schemas.features import FeatureSpec

PROBABILITY = "probability"
MODEL_VERSION = "model_version"


def scores_schema(spec: FeatureSpec, row_key_type: pa.DataType | None) -> pa.Schema:
    """Row key (where the spec names one), float32 click probability, and the URI of the model that gave it."""
    key = [pa.field(spec.row_key, row_key_type)] if spec.row_key else []
    return pa.schema([*key, pa.field(PROBABILITY, pa.float32()), pa.field(MODEL_VERSION, pa.string())])
