"""Does the file, run by ONNX Runtime, say what the bundle says?"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.evaluation.gate import MAX_GOLDEN_DIFFERENCE
from pipeline.export import probes
from pipeline.export.card import Check
from pipeline.export.inputs import feeds
from pipeline.registry.bundle import Bundle
from schemas.errors import Failure

ALONE = 16  # rows that are sent one by one as well
FATAL = 4  # of the runtime's log: what it raises is told once


class Session:
    """The file, open on the CPU."""

    def __init__(self, path: Path, bundle: Bundle, integers: Collection[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._spec, self._integers = bundle.spec, integers

    def scores(self, rows: pa.Table) -> NDArray[np.float32]:
        """R rows of the log -> [R, columns], as `Bundle.scores`."""
        found: NDArray[np.float32] = self.run(rows)
        return found.reshape(len(found), -1)

    def run(self, rows: pa.Table) -> NDArray[np.float32]:
        """What comes out of rows of the log: [R], or [R, C] of classes."""
        found: NDArray[np.float32] = self._session.run(None, feeds(rows, self._spec, self._integers))[0]
        return found


def check(session: Session, bundle: Bundle, integers: Collection[str]) -> Check:
    """Raises Failure where scores are further apart than a registered model's may be from a trained one's.

    Numbers are held apart by the largest of them.
    """
    rows = probes.rows(bundle.vocabulary, integers)
    expected = bundle.scores(rows)
    alone = [session.scores(rows.slice(row, 1)) for row in range(ALONE)]
    found = np.concatenate([session.scores(rows), *alone])
    unit = float(np.abs(expected).max()) if bundle.spec.objective == "regression" else 1.0
    difference = float(np.abs(found - np.concatenate([expected, expected[:ALONE]])).max() / (unit or 1.0))
    if not difference <= MAX_GOLDEN_DIFFERENCE:
        raise Failure(
            f"the file's scores are up to {difference:.3g} apart from the model's, "
            f"{MAX_GOLDEN_DIFFERENCE:g} allowed: nothing was written; please report it as a bug, with the feature spec"
        )
    return Check(
        rows=rows.num_rows,
        largest_difference=difference,
        allowed=MAX_GOLDEN_DIFFERENCE,
        onnxruntime=onnxruntime.__version__,
    )
