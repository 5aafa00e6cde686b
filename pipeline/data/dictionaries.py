"""Which columns of a Parquet file can be read as the dictionaries that they are held as."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

MOST_BYTES = 2**30  # of a column's pages: what is read as a dictionary must fit offsets of 32 bits


def leaves(file: pq.ParquetFile, row_group: int, columns: Collection[str]) -> list[int]:
    """The places, among the file's leaves, of those of the columns that hold text, or lists of it, by a dictionary.

    A dictionary that has grown too large is followed by pages of plain text; these are read as well.
    """
    if not columns:
        return []
    wanted = {field.name for field in file.schema_arrow if field.name in columns and _is_text(field.type)}
    chunks, names = file.metadata.row_group(row_group), {*file.schema_arrow.names}
    return [
        leaf
        for leaf in range(chunks.num_columns)
        if _column(chunks.column(leaf).path_in_schema, names) in wanted
        and chunks.column(leaf).has_dictionary_page
        and chunks.column(leaf).total_uncompressed_size < MOST_BYTES
    ]


def _is_text(kind: pa.DataType) -> bool:
    """Of bytes the reader makes no difference, and views are taken for text as they are read."""
    value = kind.value_type if pt.is_list(kind) or pt.is_large_list(kind) else kind
    return bool(pt.is_string(value) or pt.is_large_string(value))


def _column(path: str, names: Collection[str]) -> str:
    """Of a leaf: a name may have a dot in it."""
    return path if path in names else path.partition(".")[0]
