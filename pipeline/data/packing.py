"""Rows as the store holds them: a row is one binary value of int32 ids, and numpy views a column without a copy."""

import numpy as np
import pyarrow as pa

from pipeline.data.rows import Rows


def to_table(rows: Rows) -> pa.Table:
    """Pack: the inverse of `to_rows`."""
    num_active = None if rows.lengths is None else rows.lengths.sum(axis=1, dtype=np.int64)
    columns = {"ids": _packed(rows.ids, len(rows), num_active), "label": pa.array(rows.labels.astype(np.uint8))}
    if rows.lengths is not None:
        columns["lengths"] = _packed(rows.lengths.ravel(), len(rows), None)
    if rows.weights is not None:
        columns["weights"] = _packed(rows.weights, len(rows), num_active)
    if rows.row_weights is not None:
        columns["row_weight"] = pa.array(rows.row_weights)
    if rows.groups is not None:
        columns["group"] = pa.array(rows.groups)
    return pa.table(columns)


def to_rows(table: pa.Table, num_fields: int) -> Rows:
    """Unpack; a single chunk is viewed, not copied."""
    names = table.column_names
    return Rows(
        ids=_unpacked(table.column("ids"), np.int32),
        lengths=_unpacked(table.column("lengths"), np.uint16).reshape(-1, num_fields) if "lengths" in names else None,
        weights=_unpacked(table.column("weights"), np.float32) if "weights" in names else None,
        labels=table.column("label").to_numpy().astype(np.float32),
        row_weights=table.column("row_weight").to_numpy() if "row_weight" in names else None,
        groups=table.column("group").to_numpy() if "group" in names else None,
        num_fields=num_fields,
    )


def _packed(values: np.ndarray, num_rows: int, num_per_row: np.ndarray | None) -> pa.Array:
    """One binary value a row: of fixed size, or of `num_per_row` elements."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    if num_per_row is None:
        width = values.itemsize * (len(values) // num_rows) if num_rows else values.itemsize
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), num_rows, [None, data])
    ends = np.cumsum(num_per_row) * values.itemsize
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), num_rows, [None, pa.py_buffer(offsets), data])


def _unpacked(column: pa.ChunkedArray, dtype: type[np.generic]) -> np.ndarray:
    views = [_view(chunk, np.dtype(dtype)) for chunk in column.chunks if len(chunk)]
    if not views:
        return np.empty(0, dtype)
    return views[0] if len(views) == 1 else np.concatenate(views)


def _view(chunk: pa.Array, dtype: np.dtype[np.generic]) -> np.ndarray:
    if pa.types.is_fixed_size_binary(chunk.type):
        width = chunk.type.byte_width
        start, stop = chunk.offset * width, (chunk.offset + len(chunk)) * width
        data = chunk.buffers()[1]
    else:
        offsets = np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        start, stop = int(offsets[0]), int(offsets[-1])
        data = chunk.buffers()[2]
    return np.frombuffer(data, dtype, count=(stop - start) // dtype.itemsize, offset=start)
