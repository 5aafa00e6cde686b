"""Does the file, run by ONNX Runtime, say what the bundle says?"""

from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace
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
ROUNDINGS = 4  # of two sums of the same terms in other orders
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

    Of numbers as a share of the largest. A model of large weights may itself be further from what it would be without
    rounding: then a few times that is allowed.
    """
    rows = probes.rows(bundle.vocabulary, integers)
    expected = bundle.scores(rows)
    unit = float(np.abs(expected).max()) if bundle.spec.objective == "regression" else 1.0
    alone = [session.scores(rows.slice(row, 1)) for row in range(ALONE)]
    found = np.concatenate([session.scores(rows), *alone])
    difference = float(np.abs(found - np.concatenate([expected, expected[:ALONE]])).max()) / (unit or 1.0)
    allowed = MAX_GOLDEN_DIFFERENCE
    if difference > allowed:
        rounding = float(np.abs(_by_float64(bundle).scores(rows) - expected).max()) / (unit or 1.0)
        allowed = max(allowed, ROUNDINGS * rounding)
    if not difference <= allowed:
        raise Failure(
            f"the file's scores are up to {difference:.3g} apart from the model's, {allowed:.3g} allowed: nothing was "
            "written; please report it as a bug, with the feature spec"
        )
    return Check(
        rows=rows.num_rows, largest_difference=difference, allowed=allowed, onnxruntime=onnxruntime.__version__
    )


def _by_float64(bundle: Bundle) -> Bundle:
    """The same, but that it rounds its scores alone."""
    table = replace(bundle.table, rows=bundle.table.rows.double())
    return replace(bundle, table=table, model=deepcopy(bundle.model).double())
