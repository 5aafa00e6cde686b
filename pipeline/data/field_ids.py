"""The ids that fields have of their own, from the start: for what is unknown, for what is missing, and fixed blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.features import FeatureField, QuantileBucketEncoder, ScaleEncoder


@dataclass(frozen=True, slots=True)
class FieldIds:
    """The ids that are a field's own.

    `block` is the first id of its fixed ones: `num_buckets` of a hash, one more than `edges` of quantile buckets, one
    of a scaled number; a field with a vocabulary has none. A scaled number x weighs (x - shift) / scale.
    """

    name: str
    oov: int
    missing: int
    block: int
    edges: tuple[float, ...] = ()
    shift: float = 0.0
    scale: float = 1.0

    def among(self, ids: NDArray[np.integer]) -> Self:
        """Where only these ids are left, ascending, and count anew: its own are among them."""
        oov, missing, block = np.searchsorted(ids, [self.oov, self.missing, self.block]).tolist()
        return replace(self, oov=oov, missing=missing, block=block)


def lay_out(fields: Sequence[FeatureField], first: int, counts: pa.Table) -> tuple[list[FieldIds], int]:
    """The fields' own ids from the `first` on: two of each, then its block. And the id behind them."""
    next_id, found = first + 2 * len(fields), []
    for position, field in enumerate(fields):
        oov = first + 2 * position
        ids = fit(field, FieldIds(field.name, oov, oov + 1, next_id), counts)
        found.append(ids)
        next_id += block_size(field, ids)
    return found, next_id


def fit(field: FeatureField, ids: FieldIds, counts: pa.Table) -> FieldIds:
    """Quantile edges or scaling of a numeric field, from its counted bins."""
    if not isinstance(field.encoder, QuantileBucketEncoder | ScaleEncoder):
        return ids
    of_field = counts.filter(pc.equal(counts["field"], field.name))
    values = of_field["value"].cast(pa.float64()).to_numpy()
    order = np.argsort(values)
    values, rows = values[order], of_field["count"].to_numpy()[order]
    if not len(values):
        return ids
    if isinstance(field.encoder, QuantileBucketEncoder):
        return replace(ids, edges=_quantile_edges(values, rows, field.encoder.num_buckets))
    if field.encoder.to == "unit":
        shift, scale = float(values[0]), float(values[-1] - values[0])
    else:
        shift = float(np.average(values, weights=rows))
        scale = float(np.sqrt(np.average((values - shift) ** 2, weights=rows)))
    return replace(ids, shift=shift, scale=scale or 1.0)


def _quantile_edges(values: np.ndarray, rows: np.ndarray, num_buckets: int) -> tuple[float, ...]:
    """Inner edges: a number belongs to the bucket of the edges at or below it."""
    last_of_bucket = np.searchsorted(np.cumsum(rows), rows.sum() * np.arange(1, num_buckets) / num_buckets)
    first_of_next = np.minimum(last_of_bucket + 1, len(values) - 1)
    edges = np.unique(values[first_of_next])
    return tuple(float(edge) for edge in edges if edge > values[0])


def block_size(field: FeatureField, ids: FieldIds) -> int:
    """How many ids a field has from its `block` on."""
    match field.encoder.type:
        case "hash":
            return field.encoder.num_buckets
        case "quantile_bucket":
            return len(ids.edges) + 1
        case "scale":
            return 1
        case _:
            return 0
