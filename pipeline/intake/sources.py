"""The files that are to be imported: found, put in order, and read from any byte on, unpacked where they are packed."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from pipeline.runtime import files
from schemas.errors import Refusal, on_one_line

PACKINGS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
SKIPPED_BYTES = 1 << 22  # at a time, of a packed file up to where an import goes on


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was found; `modified` is in seconds since 1970."""

    uri: str
    num_bytes: int
    modified: float

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    @property
    def ending(self) -> str:
        """Of a packed file, what says how."""
        return next((ending for ending in PACKINGS if self.name.lower().endswith(ending)), "")


@dataclass(frozen=True, slots=True)
class Stream:
    """A file's content, as it is read; what is wrong with its packing is refused then."""

    source: Source
    _raw: Any
    _unpacked: Any

    def read(self, num_bytes: int) -> bytes:
        """So many, fewer at the end."""
        pieces, missing = [], num_bytes
        while missing and (piece := self._read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, num_bytes: int) -> bytes:
        try:
            return bytes(self._unpacked.read(num_bytes))
        except OSError as error:
            if error.errno is not None or not self.source.ending:
                raise
            raise Refusal(
                found=f"a {self.source.ending} file that cannot be unpacked: {on_one_line(error)}",
                expected=f"{PACKINGS[self.source.ending]}, whole",
                where=self.source.uri,
                remedy="fetch the file again; one that is not packed gets a name without the ending",
            ) from error

    @property
    def num_bytes_read(self) -> int:
        """Of the file as it lies there, packed or not."""
        return int(self._raw.tell())


@contextmanager
def opened(source: Source, offset: int = 0) -> Iterator[Stream]:
    """The content from the byte `offset` on, which is counted in unpacked bytes."""
    with fsspec.open(source.uri, "rb") as raw:
        if not source.ending:
            raw.seek(offset)
            yield Stream(source, raw, raw)
            return
        packed = pa.PythonFile(raw, mode="r")
        stream = Stream(source, raw, pa.CompressedInputStream(packed, PACKINGS[source.ending]))
        while offset > 0 and (skipped := stream.read(min(offset, SKIPPED_BYTES))):
            offset -= len(skipped)
        yield stream


def find(places: Sequence[str]) -> list[Source]:
    """The files of these places, a folder's in the order of their names, numbers in them counted as numbers.

    What begins with `_` or `.` in a folder is another tool's note, and left aside. Raises Refusal for a place that is
    missing or twice the same, and for a file without a byte.
    """
    found = [source for place in places for source in _of(place)]
    times = Counter(found)
    for source in found:
        if source.num_bytes == 0:
            raise _refusal("an empty file", source.uri, "leave it out, or write it again")
        if times[source] > 1:
            raise _refusal(f"{source.name} twice", source.uri, "name each file once")
    return found


def _of(place: str) -> list[Source]:
    kind = files.kind_of(place)
    if kind is None:
        raise _refusal("no such file or folder", place, "correct the name")
    listed = files.listed(place)
    if kind == "file":
        return [Source(place, one.num_bytes, one.modified) for one in listed]
    own = sorted((one for one in listed if "/" not in one.name and one.name[:1] not in ("_", ".")), key=_in_order)
    if not own:
        raise _refusal("a folder without files", place, "name the folder that they lie in, or the files")
    return [Source(f"{place}/{one.name}", one.num_bytes, one.modified) for one in own]


def _in_order(one: files.Listed) -> list[tuple[int, str]]:
    """`day_2` before `day_10`."""
    return [(int(word), "") if word.isdigit() else (0, word) for word in re.split(r"(\d+)", one.name)]


def _refusal(found: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected="the file to import, several, or a folder of such", where=where, remedy=remedy)
