"""Rows as the store holds them: a row is one binary value of int32 ids, and numpy views a column without a copy."""

import numpy as np
import pyarrow as pa

from pipeline.data.rows import Rows, Stretches

CLICK = pa.uint8()


def to_table(rows: Rows, label_type: pa.DataType = CLICK) -> pa.Table:
    """Pack, labels as that type: the inverse of `to_rows`."""
    labels = pa.array(rows.labels.astype(label_type.to_pandas_dtype()))
    columns = {"ids": _packed(rows.ids, len(rows), rows.of_ids), "label": labels}
    for name, values, fields in (
        ("lengths", rows.lengths, rows.list_fields),
        ("weights", rows.weights, rows.weighted_fields),
    ):
        if values is not None:
            of_rows = rows.of_ids if values.ndim == 1 else Stretches(values.shape[1], None)
            columns[_named(name, fields)] = _packed(values, len(rows), of_rows)
    if rows.row_weights is not None:
        columns["row_weight"] = pa.array(rows.row_weights)
    if rows.groups is not None:
        columns["group"] = pa.array(rows.groups)
    return pa.table(columns)


def to_rows(table: pa.Table, num_fields: int) -> Rows:
    """Unpack; a single chunk is viewed, not copied."""
    names = table.column_names
    lengths, list_fields = _of_fields("lengths", table, np.uint16)
    weights, weighted_fields = _of_fields("weights", table, np.float32)
    return Rows(
        ids=_unpacked(table.column("ids"), np.int32),
        lengths=None if lengths is None else lengths.reshape(-1, len(list_fields or range(num_fields))),
        list_fields=list_fields,
        weights=weights if weights is None or weighted_fields is None else weights.reshape(-1, len(weighted_fields)),
        weighted_fields=weighted_fields,
        labels=table.column("label").to_numpy().astype(np.float32),
        row_weights=table.column("row_weight").to_numpy() if "row_weight" in names else None,
        groups=table.column("group").to_numpy() if "group" in names else None,
        num_fields=num_fields,
    )


def _named(name: str, fields: tuple[int, ...] | None) -> str:
    """Of a column of these fields: tables that are put together agree in it, or cannot be."""
    return name if fields is None else f"{name} of {','.join(map(str, fields))}"


def _of_fields(name: str, table: pa.Table, dtype: type[np.generic]) -> tuple[np.ndarray | None, tuple[int, ...] | None]:
    """The column that `_named` has named, if there is one, and the fields that it is of."""
    found = next((column for column in table.column_names if column.partition(" of ")[0] == name), None)
    if found is None:
        return None, None
    of = found.partition(" of ")[2]
    return _unpacked(table.column(found), dtype), tuple(map(int, of.split(","))) if of else None


def _packed(values: np.ndarray, num_rows: int, of_rows: Stretches) -> pa.Array:
    """One binary value a row: of fixed size, where all rows have as many elements."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    if of_rows.starts is None:
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.itemsize * of_rows.width), num_rows, [None, data])
    offsets = pa.py_buffer(of_rows.starts * values.itemsize)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), num_rows, [None, offsets, data])


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
