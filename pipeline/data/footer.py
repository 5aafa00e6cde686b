"""The footer of a Parquet file: it says what the pages are, and has no checksum of its own."""

import hashlib
import os
from dataclasses import dataclass
from typing import IO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.entries import Info
from pipeline.data.unreadable import unreadable

TAIL_BYTES = 8  # the footer's length and the magic bytes, with which the file ends
MAGIC = (b"PAR1", b"PARE")  # the second, of an encrypted file, to be refused as one that cannot be read


@dataclass(frozen=True, slots=True)
class Footer:
    """What one tells: `sha256` of it and all after it changes with schema, sizes and statistics; 16 hex digits."""

    uri: str
    size_bytes: int
    metadata: pq.FileMetaData
    schema_arrow: pa.Schema
    sha256: str

    @property
    def row_group_rows(self) -> tuple[int, ...]:
        return tuple(self.metadata.row_group(i).num_rows for i in range(self.metadata.num_row_groups))


def is_parquet(fs: fsspec.AbstractFileSystem, info: Info) -> bool:
    """By its name or, of another name, by its first bytes."""
    return str(info["name"]).endswith(".parquet") or fs.cat_file(info["name"], start=0, end=4) in MAGIC


def read(fs: fsspec.AbstractFileSystem, info: Info) -> Footer | None:
    """None of a file that is not Parquet. Raises Refusal for half a file."""
    uri = fs.unstrip_protocol(info["name"])
    try:
        if not is_parquet(fs, info):
            return None
        with fs.open(info["name"], "rb") as stream:
            file = pq.ParquetFile(stream)
            return Footer(uri, int(info["size"]), file.metadata, file.schema_arrow, digest(stream))
    except (pa.ArrowException, OSError) as error:
        raise unreadable(uri, error) from error


def leaf(metadata: pq.FileMetaData, column: str) -> int:
    """The place of a column that is no list among the leaves of all."""
    return [metadata.schema.column(i).path for i in range(metadata.num_columns)].index(column)


def digest(stream: IO[bytes]) -> str:
    """Of the footer and all after it."""
    end = stream.seek(0, os.SEEK_END) - TAIL_BYTES
    stream.seek(max(0, end))
    stream.seek(max(0, end - int.from_bytes(stream.read(4), "little")))
    return hashlib.sha256(stream.read()).hexdigest()[:16]
