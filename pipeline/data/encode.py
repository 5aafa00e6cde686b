"""From a raw Arrow table to packed rows of ids: the same function in training, evaluation, scoring and serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from pipeline.data import columns
from pipeline.data.field_ids import FieldIds
from pipeline.data.hashing import Hashed, Words, hash64
from pipeline.data.rows import Rows, ranges
from pipeline.data.target import class_numbers
from pipeline.data.value_counts import log_bucket
from pipeline.data.vocabulary import Vocabulary
from schemas.features import CategoricalField, FeatureField, HashEncoder, MultiValuedField, NumericField


@dataclass(frozen=True, slots=True)
class _FieldCells:
    """One field of R rows: ids of its cells one after another, how many each has, and what each of a cell's weighs."""

    ids: np.ndarray
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None


class Encoder:
    """A vocabulary made ready for looking up.

    A value is found by its 64-bit hash in a sorted array, so that opening a bundle builds no dictionary of strings, and
    scoring one row costs one look. Two values of a field with the same hash (one chance in 10^12 for a million
    values) would share the id that was learned first.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.spec = vocabulary.spec
        self.target = vocabulary.target
        self.num_ids = vocabulary.num_ids
        self._fields = vocabulary.fields
        self._lookups = _lookups(vocabulary)

    def encode(self, table: pa.Table) -> Rows:
        """R rows of the log -> R packed rows. Label, weight and group are filled where the table has their columns."""
        spec, names, num_rows = self.spec, table.column_names, table.num_rows
        hashed = cache(lambda name: Hashed.of(table.column(name)))  # once, where the group is a field as well
        cells = [
            _FieldCells(self._ids(hashed(field.name), field, ids))
            if isinstance(field, CategoricalField)
            else self._encode_column(table.column(field.name), field, ids)
            for field, ids in zip(spec.fields, self._fields, strict=True)
        ]
        # Which fields have lengths and weights is said by the spec, so that all rows of a store agree in it.
        lengths = {f: cell.lengths for f, cell in enumerate(cells) if cell.lengths is not None}
        weights = {f: cell.weights for f, cell in enumerate(cells) if cell.weights is not None}
        return Rows(
            ids=_interleaved(cells, num_rows),
            lengths=np.stack([*lengths.values()], axis=1).astype(np.uint16) if lengths else None,
            list_fields=tuple(lengths) or None,
            weights=np.stack([*weights.values()], axis=1) if weights else None,
            weighted_fields=tuple(weights) or None,
            labels=self._labels(table) if spec.label in names else np.zeros(table.num_rows, np.float32),
            row_weights=_floats(table, spec.weight) if spec.weight and spec.weight in names else None,
            groups=hashed(spec.group).of_rows().view(np.int64) if spec.group and spec.group in names else None,
            num_fields=len(spec.fields),
        )

    def _labels(self, table: pa.Table) -> np.ndarray:
        """[R]. Classes that training has not seen are bad rows, and were left out before."""
        if self.spec.objective != "multiclass":
            return _floats(table, self.spec.label)
        labels = class_numbers(table.column(self.spec.label), self.target.classes)
        assert (labels >= 0).all(), "a class that the vocabulary has not"
        return labels

    def _encode_column(
        self, column: pa.ChunkedArray, field: MultiValuedField | NumericField, ids: FieldIds
    ) -> _FieldCells:
        match field:
            case MultiValuedField():
                return self._bags(column, field, ids)
            case NumericField():
                return self._numbers(column, field, ids)

    def _ids(self, column: Hashed, field: FeatureField, ids: FieldIds) -> np.ndarray:
        if isinstance(field.encoder, HashEncoder):
            known = ids.block + (column.hashes % np.uint64(field.encoder.num_buckets)).astype(np.int32)
        else:
            known = self._lookups[field.name].find(column.hashes, ids.oov)
        # One entry more than there are values: the place that nulls point to.
        return np.append(known, ids.missing).astype(np.int32).take(column.codes)

    def _bags(self, column: pa.ChunkedArray, field: MultiValuedField, ids: FieldIds) -> _FieldCells:
        values, lengths = columns.values_of_lists(column)
        value_ids = self._ids(Hashed.of(values), field, ids)
        is_empty = lengths == 0
        filled = np.maximum(lengths, 1)
        weights = (1.0 / filled).astype(np.float32) if field.combine == "mean" else None
        if not is_empty.any():
            return _FieldCells(value_ids, filled, weights)
        bag_ids = np.full(filled.sum(), ids.missing, np.int32)
        bag_ids[np.repeat(~is_empty, filled)] = value_ids
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
                return _FieldCells(self._ids(Hashed.of(buckets), field, ids))
            case "scale":
                known = np.full(len(values), ids.block)
        found = np.where(is_missing, ids.missing, known).astype(np.int32)
        if field.encoder.type != "scale":
            return _FieldCells(found)
        return _FieldCells(found, None, np.where(is_missing, 1.0, (values - ids.shift) / ids.scale).astype(np.float32))


class _Lookup:
    """Hash -> id: the place of the first one in a sorted array that begins with as many bits, then those behind it."""

    def __init__(self, hashes: Words, ids: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        num_bits = max(1, len(hashes).bit_length() - 1)
        self._shift = np.uint64(64 - num_bits)
        self._first = np.searchsorted(hashes[order], np.arange(2**num_bits, dtype=np.uint64) << self._shift)
        self._first = self._first.astype(np.int32)
        self._hashes = np.append(hashes[order], np.uint64(2**64 - 1))  # behind which there is nothing
        self._ids = np.append(ids[order], np.int32(-1))

    def find(self, hashes: Words, oov: int) -> np.ndarray:
        place = self._first.take(hashes >> self._shift)
        behind = np.flatnonzero(self._hashes.take(place) < hashes)
        while len(behind):
            place[behind] += 1
            behind = behind[self._hashes.take(place[behind]) < hashes[behind]]
        is_known = (self._hashes.take(place) == hashes) & (place < len(self._hashes) - 1)
        return np.where(is_known, self._ids.take(place), oov).astype(np.int32)


def _lookups(vocabulary: Vocabulary) -> dict[str, _Lookup]:
    hashes = hash64(vocabulary.values.column("value").combine_chunks())
    ids = vocabulary.value_ids
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
    of_lists = [cell.lengths for cell in cells if cell.lengths is not None]
    ends = np.cumsum(sum(of_lists, np.full(num_rows, len(cells) - len(of_lists), np.int64)))
    ids = np.empty(int(ends[-1]) if num_rows else 0, np.int32)
    places = np.append(0, ends)[:-1]  # of each row's next id
    for cell in cells:
        if cell.lengths is None:
            ids[places] = cell.ids
            places += 1
        else:
            ids[ranges(places, cell.lengths)] = cell.ids
            places += cell.lengths
    return ids
