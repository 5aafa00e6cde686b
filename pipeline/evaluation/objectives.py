"""Which sums an objective's rows add up to."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.class_sums import ClassSums
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.number_sums import NumberSums
from pipeline.evaluation.row_sums import RowSums
from schemas.features import Objective

_SUMS: dict[Objective, type[RowSums]] = {kind.objective: kind for kind in (Sums, ClassSums, NumberSums)}

BESIDE_NE: dict[Objective, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""The metric that is told beside NE, where there is room for one: NE has no unit, and few know what is a good one."""
HEADINGS = {"auc": "AUC", "accuracy": "accuracy", "rmse": "RMSE"}


def sums_of(objective: Objective) -> type[RowSums]:
    """The kind of sums; those of different objectives don't add up."""
    return _SUMS[objective]


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> RowSums:
    """The sums that `to_arrays` of any kind has given."""
    objective: Objective = arrays["objective"].item() if "objective" in arrays else "binary"
    return sums_of(objective).from_arrays(arrays)


def from_bytes(npz: bytes) -> RowSums:
    """The sums that `to_bytes` of any kind has given."""
    with np.load(io.BytesIO(npz)) as arrays:
        return from_arrays(dict(arrays))
