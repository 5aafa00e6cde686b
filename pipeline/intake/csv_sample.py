"""The first rows of a CSV file, its delimiter and types guessed, for a look."""

import io
from contextlib import suppress

import fsspec
import pyarrow as pa
import pyarrow.csv

from pipeline.runtime import files
from schemas.errors import Refusal, on_one_line

DELIMITERS = (",", "\t", ";", "|")
HEAD_BYTES = 1 << 25  # of text, beyond which no row is looked at
BOM = b"\xef\xbb\xbf"


def read(fs: fsspec.AbstractFileSystem, name: str, most: int) -> tuple[pa.Table, int]:
    """(at most `most` rows from the file's start, how many it has in all, about).

    Of a packed file that is longer than what is read nobody knows the latter: it counts as what was read. Refusal for
    what is no CSV with a header, in UTF-8.
    """
    uri = fs.unstrip_protocol(name)
    text, is_whole = _head(fs, name, uri)
    if not is_whole:
        text = text[: text.rfind(b"\n") + 1]
    header = text.removeprefix(BOM).partition(b"\n")[0].rstrip(b"\r")
    if not header.strip():
        raise _refused("an empty file" if not text else "a first line without a name", uri, "a header, then rows")
    _require_utf8(text, uri)
    delimiter = delimiter_of(header.decode())
    try:
        table = pa.csv.read_csv(
            io.BytesIO(text),
            pa.csv.ReadOptions(use_threads=False),
            pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa.csv.ConvertOptions(strings_can_be_null=True),
        )
    except pa.ArrowException as error:
        raise _refused(on_one_line(error), uri, "the same number of columns in every line") from error
    _require_header(table, uri)
    is_told = is_whole or _packing(name)
    total = len(table) if is_told else round(len(table) * int(fs.size(name)) / len(text))
    return table.slice(0, most), total


def delimiter_of(header: str) -> str:
    """Of the usual ones the one that a header has most of; a comma where it has none."""
    return max(DELIMITERS, key=header.count)


def _head(fs: fsspec.AbstractFileSystem, name: str, uri: str) -> tuple[bytes, bool]:
    """(the file's first bytes, unpacked, whether they are all)."""
    unreadable: tuple[type[Exception], ...] = (EOFError, ValueError, *files.errors())
    try:
        with fsspec.core.OpenFile(fs, name, "rb", compression=_packing(name)) as stream:
            text = stream.read(HEAD_BYTES + 1)
    except unreadable as error:
        raise _refused(f"a file that cannot be read: {on_one_line(error)}", uri, "a CSV file, whole") from error
    return text[:HEAD_BYTES], len(text) <= HEAD_BYTES


def _packing(name: str) -> str | None:
    packing: str | None = fsspec.utils.infer_compression(name)
    return packing


def _require_utf8(text: bytes, uri: str) -> None:
    with suppress(UnicodeDecodeError):
        text.decode()
        return
    for number, line in enumerate(text.split(b"\n"), start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise _refused(f"line {number}, whose bytes are not UTF-8: {line[:40]!r}", uri, "text in UTF-8") from error


def _require_header(table: pa.Table, uri: str) -> None:
    names = table.column_names
    twice = [name for name in names if names.count(name) > 1]
    if "" in names or twice:
        found = f"two columns named {twice[0]!r}" if twice else "a column without a name"
        raise _refused(f"{found} in the first line", uri, "a header that names each column once")
    if sum(map(_is_number, names)) > len(names) / 2:
        raise _refused(f"numbers in the first line: {', '.join(names[:5])}", uri, "a header that names the columns")


def _is_number(word: str) -> bool:
    with suppress(ValueError):
        float(word)
        return True
    return False


def _refused(found: str, uri: str, expected: str) -> Refusal:
    return Refusal(
        found=found,
        expected=expected,
        where=uri,
        remedy="correct the file where it is written; `nightjar import --help` has what reads other forms",
    )
