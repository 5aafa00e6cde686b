"""From a raw Arrow table to packed rows of ids: the same function in training, evaluation, scoring and serving."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.data import columns
from pipeline.data.rows import Rows, ranges, starts_of
from pipeline.data.vocabulary import FieldIds, Vocabulary, log_bucket
from schemas.features import CategoricalField, FeatureField, HashEncoder, MultiValuedField, NumericField

HASHED_AT_ONCE = 250_000  # values, each of which is an object of Python's meanwhile


def hash64(values: pa.Array) -> np.ndarray:
    """Uint64 hash of each value's text, the same in every process and for every integer width (pandas' SipHash)."""
    hashes = np.empty(len(values), np.uint64)
    for start in range(0, len(values), HASHED_AT_ONCE):
        some = values.slice(start, HASHED_AT_ONCE).cast(pa.large_string())
        text = np.asarray(some.to_numpy(zero_copy_only=False), dtype=object)
        hashes[start : start + len(text)] = pd.util.hash_array(text, categorize=False)
    return hashes


def hash_column(column: pa.ChunkedArray) -> np.ndarray:
    """Uint64 hash of each row's value, 0 of null; each distinct value is hashed once."""
    values, codes = columns.distinct(column)
    hashes: np.ndarray = np.append(hash64(values), np.uint64(0))[codes.fill_null(len(values)).to_numpy()]
    return hashes


@dataclass(frozen=True, slots=True)
class _FieldCells:
    """One field of R rows: ids of its cells one after another, how many each has, and what each of a cell's weighs."""

    ids: np.ndarray
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None


class Encoder:
    """A vocabulary made ready for looking up.

    A value is found by its 64-bit hash in a sorted array, so that opening a bundle builds no dictionary of strings, and
    scoring one row costs one search. Two values of a field with the same hash (one chance in 10^12 for a million
    values) would share the id that was learned first.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.spec = vocabulary.spec
        self.num_ids = vocabulary.num_ids
        self._fields = vocabulary.fields
        self._lookups = _lookups(vocabulary)

    def encode(self, table: pa.Table) -> Rows:
        """R rows of the log -> R packed rows. Label, weight and group are filled where the table has their columns."""
        cells = [
            self._encode_field(table.column(field.name), field, ids)
            for field, ids in zip(self.spec.fields, self._fields, strict=True)
        ]
        spec, names, num_rows = self.spec, table.column_names, table.num_rows
        # Which fields have lengths and weights is said by the spec, so that all rows of a store agree in it.
        lengths = {f: cell.lengths for f, cell in enumerate(cells) if cell.lengths is not None}
        weights = {f: cell.weights for f, cell in enumerate(cells) if cell.weights is not None}
        return Rows(
            ids=_interleaved(cells, num_rows),
            lengths=np.stack([*lengths.values()], axis=1).astype(np.uint16) if lengths else None,
            list_fields=tuple(lengths) or None,
            weights=np.stack([*weights.values()], axis=1) if weights else None,
            weighted_fields=tuple(weights) or None,
            labels=_floats(table, spec.label) if spec.label in names else np.zeros(table.num_rows, np.float32),
            row_weights=_floats(table, spec.weight) if spec.weight and spec.weight in names else None,
            groups=hash_column(table.column(spec.group)).view(np.int64) if spec.group and spec.group in names else None,
            num_fields=len(spec.fields),
        )

    def _encode_field(self, column: pa.ChunkedArray, field: FeatureField, ids: FieldIds) -> _FieldCells:
        match field:
            case CategoricalField():
                return _FieldCells(self._categories(column, field, ids))
            case MultiValuedField():
                return self._bags(column, field, ids)
            case NumericField():
                return self._numbers(column, field, ids)

    def _categories(self, column: pa.ChunkedArray, field: FeatureField, ids: FieldIds) -> np.ndarray:
        values, codes = columns.distinct(column)
        if isinstance(field.encoder, HashEncoder):
            known = ids.block + (hash64(values) % np.uint64(field.encoder.num_buckets)).astype(np.int32)
        else:
            known = self._lookups[field.name].find(hash64(values), ids.oov)
        # One entry more than there are values: the place that nulls point to.
        found: np.ndarray = np.append(known, ids.missing).astype(np.int32)[codes.fill_null(len(values)).to_numpy()]
        return found

    def _bags(self, column: pa.ChunkedArray, field: MultiValuedField, ids: FieldIds) -> _FieldCells:
        values, row_of_value = columns.values_of_lists(column)
        lengths = np.bincount(row_of_value, minlength=len(column))
        is_empty = lengths == 0
        filled = np.maximum(lengths, 1)
        bag_ids = np.empty(filled.sum(), np.int32)
        is_missing = np.repeat(is_empty, filled)
        bag_ids[is_missing] = ids.missing
        bag_ids[~is_missing] = self._categories(values, field, ids)
        weights = (1.0 / filled).astype(np.float32) if field.combine == "mean" else None
        return _FieldCells(bag_ids, filled, weights)

    def _numbers(self, column: pa.ChunkedArray, field: NumericField, ids: FieldIds) -> _FieldCells:
        numbers = columns.numbers(column).cast(pa.float64(), safe=False).to_numpy()
        # A served row may hold what training refuses: NaN and infinity count as missing, as null does.
        is_missing = ~np.isfinite(numbers)
        values = np.where(is_missing, 0.0, numbers)
        match field.encoder.type:
            case "quantile_bucket":
                known = ids.block + np.searchsorted(np.asarray(ids.edges), values, side="right")
            case "log_bucket":
                buckets = pa.chunked_array([pa.array(log_bucket(values), mask=is_missing)])
                return _FieldCells(self._categories(buckets, field, ids))
            case "scale":
                known = np.full(len(values), ids.block)
        found = np.where(is_missing, ids.missing, known).astype(np.int32)
        if field.encoder.type != "scale":
            return _FieldCells(found)
        return _FieldCells(found, None, np.where(is_missing, 1.0, (values - ids.shift) / ids.scale).astype(np.float32))


class _Lookup:
    """Hash -> id by binary search."""

    def __init__(self, hashes: np.ndarray, ids: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._ids = hashes[order], ids[order]

    def find(self, hashes: np.ndarray, oov: int) -> np.ndarray:
        if not len(self._hashes):
            return np.full(len(hashes), oov, np.int32)
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        return np.where(self._hashes[place] == hashes, self._ids[place], oov).astype(np.int32)


def _lookups(vocabulary: Vocabulary) -> dict[str, _Lookup]:
    hashes = hash64(vocabulary.values.column("value").combine_chunks())
    ids = vocabulary.num_reserved + np.arange(len(hashes), dtype=np.int32)
    names, field_of_value = columns.distinct(vocabulary.values.column("field"))
    codes = field_of_value.to_numpy()
    code_of = {name: code for code, name in enumerate(names.to_pylist())}
    of_field = {field.name: codes == code_of.get(field.name, -1) for field in vocabulary.fields}
    return {name: _Lookup(hashes[mask], ids[mask]) for name, mask in of_field.items()}


def _floats(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(columns.numbers(table.column(name)).cast(pa.float32(), safe=False).to_numpy())


def _interleaved(cells: Sequence[_FieldCells], num_rows: int) -> np.ndarray:
    """The ids of all fields' cells row by row."""
    if all(cell.lengths is None for cell in cells):
        return np.stack([cell.ids for cell in cells], axis=1).ravel()
    lengths = np.ones((num_rows, len(cells)), np.int64)
    for f, cell in enumerate(cells):
        if cell.lengths is not None:
            lengths[:, f] = cell.lengths
    starts = starts_of(lengths.ravel(), np.int64)
    ids = np.empty(int(starts[-1]), np.int32)
    for f, cell in enumerate(cells):
        starts_R = starts[f : -1 : len(cells)]
        ids[starts_R if cell.lengths is None else ranges(starts_R, cell.lengths)] = cell.ids
    return ids
