"""The values that a field has learned."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data.vocabulary import Vocabulary


def learned(vocabulary: Vocabulary, field: str) -> tuple[pa.ChunkedArray, NDArray[np.int64]]:
    """(the values as text, the id of each)."""
    # Not by `indices_nonzero`, which ends the process where there is no chunk.
    places = np.flatnonzero(pc.equal(vocabulary.values["field"], field).to_numpy())
    return vocabulary.values["value"].take(pa.array(places)), vocabulary.value_ids[places].astype(np.int64)
