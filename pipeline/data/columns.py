"""Columns of a log read as what their role needs, whichever of Arrow's types a writer has chosen for the same values.

A column of a plain type is handed back as it is; every other one is cast to a plain type, so that its values get the
ids that they have there. What cannot be read value by value is for the rules of `quality` to find before.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from schemas.click_log import is_list, is_list_view, is_text

FIRST_ROUNDED = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}  # by bits: from here on not every integer is such a float
MAX_BYTES = 2**31 - 1  # of the text that one array with offsets of 32 bits holds


def without_views(table: pa.Table) -> pa.Table:
    """The table with its views of text as text: Arrow neither filters views nor takes rows of them."""
    for index, column in enumerate(table.columns):
        if not _is_viewless(column.type):
            table = table.set_column(index, table.column_names[index], _viewless(column))
    return table


def categories(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings, integers or booleans, or a dictionary of these; NaN is null, as a float that is an integer was one.

    Floats that are none are read as Arrow writes them. Raises ArrowInvalid for bytes that are not UTF-8.
    """
    kind = column.type
    if pt.is_dictionary(kind):
        return column if _is_plain_category(kind.value_type) else categories(decoded(column))
    if _is_plain_category(kind):
        return column
    return _integers(column) if pt.is_floating(kind) else column.cast(pa.large_string())


def numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Integers or floats of 32 or 64 bits."""
    column = decoded(column)
    if pt.is_float16(column.type):
        return column.cast(pa.float32())
    if pt.is_decimal(column.type) or pt.is_null(column.type):
        return column.cast(pa.float64())
    return column


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each value as text, whatever it is: a sign for bytes that are not UTF-8, nested values as Python writes them."""
    column = decoded(column)
    is_nested, is_broken = pt.is_nested(column.type), is_text(column.type) and not is_utf8(column).all()
    if not is_nested and not is_broken:
        return column.cast(pa.large_string())
    values = (raw_bytes(column) if is_broken else column).to_pylist()
    words = [one if one is None else one.decode(errors="replace") if is_broken else str(one) for one in values]
    return pa.chunked_array([pa.array(words, pa.large_string())])


def lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists with offsets of 32 or 64 bits."""
    kind = column.type
    if pt.is_list(kind) or pt.is_large_list(kind):
        return column
    if pt.is_null(kind):
        return column.cast(pa.list_(pa.string()))
    wanted = pa.large_list(kind.value_type)
    return pa.chunked_array([_offset_lists(chunk, wanted) for chunk in column.chunks], wanted)


def values_of_lists(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """(values that are not null, how many each row has), of a column of lists of categories; a null list has none."""
    of_rows = lists(column)
    values = categories(pc.list_flatten(of_rows))
    sizes = pc.list_value_length(of_rows).fill_null(0).to_numpy()
    if values.null_count:
        rows = np.repeat(np.arange(len(sizes)), sizes)[values.is_valid().to_numpy()]
        sizes, values = np.bincount(rows, minlength=len(sizes)), values.drop_null()
    return values, sizes


def distinct(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """(distinct categories, each row's index into them, null for null); chunks of text are never put together.

    A dictionary is taken at its word: a value that it has twice comes twice.
    """
    column = categories(column)
    if pt.is_dictionary(column.type):
        return _distinct_of_dictionaries(column)
    if column.num_chunks == 1 or not len(column):
        encoded = (column.chunk(0) if column.num_chunks else pa.array([], column.type)).dictionary_encode()
        return encoded.dictionary, encoded.indices
    if pt.is_string(column.type) and column.nbytes > MAX_BYTES:
        column = column.cast(pa.large_string())
    chunks = column.dictionary_encode().chunks  # which share one dictionary
    return chunks[-1].dictionary, pa.concat_arrays([chunk.indices for chunk in chunks])


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a dictionary in its place, text with offsets of 64 bits: repeated, a few may be long."""
    kind = column.type
    if not pt.is_dictionary(kind):
        return column
    is_string = pt.is_string(kind.value_type) or pt.is_string_view(kind.value_type)
    wanted = pa.large_string() if is_string else _viewless_type(kind.value_type)
    return column.cast(wanted) if wanted == kind.value_type else _with_values(column, wanted).cast(wanted)


def is_whole(floats: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether each float is an integer that its bits can tell from the next, or missing: NaN or null."""
    limit = FIRST_ROUNDED[floats.type.bit_width]
    wide = floats.cast(pa.float64())
    is_one = pc.and_(pc.equal(pc.floor(wide), wide), pc.less(pc.abs(wide), limit))
    return pc.or_(is_one, pc.is_nan(wide)).fill_null(True)


def is_utf8(text: pa.ChunkedArray) -> np.ndarray:
    """Mask of the rows of a column of text, or of a dictionary of it, whose bytes are UTF-8; null is."""
    is_dictionary = pt.is_dictionary(text.type)
    try:
        for values in (chunk.dictionary if is_dictionary else chunk for chunk in text.chunks):
            is_string = pt.is_string(values.type) or pt.is_large_string(values.type)
            (values if is_string else values.cast(pa.large_string())).validate(full=True)
        return np.ones(len(text), bool)
    except pa.ArrowInvalid:
        in_bytes = raw_bytes(text)
    found = [value is None or _is_utf8(value) for chunk in in_bytes.chunks for value in chunk.to_pylist()]
    return np.array(found, bool)


def raw_bytes(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """The bytes of a column of text, valid or not."""
    return decoded(text).cast(pa.large_binary())


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_plain_category(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_integer(kind) or pt.is_boolean(kind))


def _integers(floats: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats that pandas or another made of integers with nulls among them, as the integers that they were."""
    whole = is_whole(floats)
    wide = floats.cast(pa.float64())
    wide = pc.if_else(pc.is_nan(wide), pa.scalar(None, pa.float64()), wide)
    if pc.all(whole).as_py() is not False:
        return wide.cast(pa.int64())
    integers = pc.if_else(whole, wide, pa.scalar(None, pa.float64())).cast(pa.int64())
    return pc.if_else(whole, integers.cast(pa.large_string()), wide.cast(pa.large_string()))


def _offset_lists(chunk: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Lists of a fixed size, or views of lists. By hand: Arrow's cast of a view with nulls mixes up its offsets."""
    sizes = pc.list_value_length(chunk)
    offsets = np.append(0, np.cumsum(sizes.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64))
    values = pc.list_flatten(chunk)
    if not len(values):  # of dictionaries, Arrow gives them another index type then
        values = chunk.values.slice(0, 0)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=wanted, mask=sizes.is_null())


def _viewless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    wanted = _viewless_type(kind)
    if pt.is_dictionary(kind):
        return _with_values(column, wanted.value_type)
    if is_list_view(kind):
        column = lists(column)
    return column.cast(wanted)


def _distinct_of_dictionaries(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """By the values that rows have: others of the dictionaries may be those of bad rows, left out before."""
    used = [_used(chunk) for chunk in column.chunks]
    if len(used) == 1 and not used[0][0].null_count:
        return used[0]
    values, places = distinct(pa.chunked_array([own for own, _ in used], column.type.value_type))
    ends = np.cumsum([len(own) for own, _ in used])
    codes = [places.slice(end - len(own), len(own)).take(codes) for (own, codes), end in zip(used, ends, strict=True)]
    return values, pa.concat_arrays([places.slice(0, 0), *codes])


def _used(chunk: pa.DictionaryArray) -> tuple[pa.Array, pa.Array]:
    """(values that rows have, each row's index into them), without hashing where there are more rows than values."""
    values, indices = chunk.dictionary, chunk.indices
    if len(values) > len(indices):
        own = indices.dictionary_encode()
        return values.take(own.dictionary), own.indices
    is_used = np.bincount(indices.drop_null().to_numpy(), minlength=len(values)) > 0
    if is_used.all():
        return values, indices
    places = pa.array(np.cumsum(is_used, dtype=np.int32) - np.int32(1))
    return values.filter(pa.array(is_used)), places.take(indices)


def _with_values(dictionaries: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """The same dictionaries, their values of another type."""
    of_chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(wanted)) for chunk in dictionaries.chunks
    ]
    return pa.chunked_array(of_chunks, pa.dictionary(dictionaries.type.index_type, wanted))


def _is_viewless(kind: pa.DataType) -> bool:
    return bool(_viewless_type(kind) == kind)


def _viewless_type(kind: pa.DataType) -> pa.DataType:
    """The type with the offsets of 64 bits where there are views, whatever these hold."""
    if pt.is_string_view(kind):
        return pa.large_string()
    if pt.is_binary_view(kind):
        return pa.large_binary()
    if pt.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _viewless_type(kind.value_type), kind.ordered)
    if pt.is_struct(kind):
        return pa.struct([field.with_type(_viewless_type(field.type)) for field in kind])
    if pt.is_map(kind):
        return pa.map_(_viewless_type(kind.key_type), _viewless_type(kind.item_type), kind.keys_sorted)
    if is_list(kind) and _viewless_type(kind.value_type) != kind.value_type:
        value = kind.value_field.with_type(_viewless_type(kind.value_type))
        return pa.list_(value, kind.list_size) if pt.is_fixed_size_list(kind) else pa.large_list(value)
    return kind
