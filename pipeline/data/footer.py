"""The footer of a Parquet file: it says what the pages are, and has no checksum of its own."""

import hashlib
import os
from typing import IO

TAIL_BYTES = 8  # the footer's length and the magic bytes, with which the file ends


def digest(stream: IO[bytes]) -> str:
    """Of the footer and all after it: changes with schema, sizes and statistics; 16 hex digits."""
    end = stream.seek(0, os.SEEK_END) - TAIL_BYTES
    stream.seek(max(0, end))
    stream.seek(max(0, end - int.from_bytes(stream.read(4), "little")))
    return hashlib.sha256(stream.read()).hexdigest()[:16]
