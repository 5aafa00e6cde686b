"""Rows to hold a file against the model that it was made of: nobody keeps a model's golden rows, so they are made anew.

Every field has values that it has learned, others that nobody has seen, and missing ones; numbers lie on the edges of
their buckets, and just beside them.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from pipeline.data.field_ids import FieldIds
from pipeline.data.vocabulary import Vocabulary
from pipeline.export.learned import learned
from schemas.features import FeatureField, NumericField

NUM_ROWS = 1_000
UNSEEN_TEXTS = ("", " ", "unseen", "0", "null", "naïve", "横浜", "👩‍🚀", "a value with thirty-two characters")
UNSEEN_INTEGERS = (0, -1, 2**31, 2**53 + 1, -(2**62))
NO_NUMBERS = (None, float("nan"), float("inf"), float("-inf"))
COUNTS = (0.0, -0.0, 0.5, 1.0, 2.0, np.nextafter(2.0, 3.0), 2.5, 7.0, -3.0, 1e3, -1e6, 1e18, 1e300)
SHARE_MISSING, SHARE_UNSEEN = 0.1, 0.2
MOST_VALUES = 4  # of a list


def rows(vocabulary: Vocabulary, integers: Collection[str], num_rows: int = NUM_ROWS) -> pa.Table:
    """The same rows of the same vocabulary; categories are text, but for the `integers`."""
    rng = np.random.default_rng(0)
    own = {ids.name: ids for ids in vocabulary.fields}
    columns = {}
    for field in vocabulary.spec.fields:
        if isinstance(field, NumericField):
            columns[field.name] = pa.array(_numbers(rng, field, own[field.name], num_rows), pa.float64())
            continue
        kind = pa.int64() if field.name in integers else pa.string()
        draw = _Values(rng, field, vocabulary, field.name in integers)
        if field.kind == "categorical":
            columns[field.name] = pa.array(draw.some(num_rows), kind)
        else:
            lists = [draw.some(int(length)) for length in rng.integers(0, MOST_VALUES + 1, num_rows)]
            columns[field.name] = pa.array([one or None for one in lists], pa.list_(kind))
    return pa.table(columns)


class _Values:
    """Draws of a field's categories."""

    def __init__(
        self, rng: np.random.Generator, field: FeatureField, vocabulary: Vocabulary, are_integers: bool
    ) -> None:
        of_field, _ = learned(vocabulary, field.name)
        self._rng, self._are_integers = rng, are_integers
        self._known = of_field.cast(pa.int64()) if are_integers else of_field
        self._unseen: Sequence[int | str] = UNSEEN_INTEGERS if are_integers else UNSEEN_TEXTS

    def some(self, number: int) -> list[int | str | None]:
        return [self._one() for _ in range(number)]

    def _one(self) -> int | str | None:
        which = self._rng.random()
        if which < SHARE_MISSING:
            return None
        if which < SHARE_MISSING + SHARE_UNSEEN or not len(self._known):
            return self._unseen[int(self._rng.integers(len(self._unseen)))]
        value: int | str = self._known[int(self._rng.integers(len(self._known)))].as_py()
        return value


def _numbers(rng: np.random.Generator, field: NumericField, ids: FieldIds, num_rows: int) -> list[float | None]:
    match field.encoder.type:
        case "log_bucket":
            known = np.append(COUNTS, np.round(np.exp(rng.uniform(0, 12, 100))))
        case "quantile_bucket":
            edges = np.array(ids.edges or [0.0])
            below, above = np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)
            known = np.concatenate([edges, below, above, [edges[0] - 1, edges[-1] + 1]])
        case "scale":
            known = ids.shift + ids.scale * np.append(0.0, rng.normal(size=100))
    drawn: list[float] = rng.choice(known, num_rows).tolist()
    is_missing = rng.random(num_rows) < SHARE_MISSING
    nothing = rng.integers(len(NO_NUMBERS), size=num_rows)
    return [NO_NUMBERS[n] if gone else one for one, gone, n in zip(drawn, is_missing, nothing, strict=True)]
