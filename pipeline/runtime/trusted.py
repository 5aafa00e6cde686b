"""Files that a run goes by and that may no longer be what was written: cut short, edited, lost, another version's.

Whoever reads one says how; whatever is wrong with it becomes one exception, `Damaged`, that names the file. What can be
made again its owner drops and makes again; what cannot is refused, for which `Damaged` has the words already.

JSON carries its own digest, its seal, and the `_SUCCESS` of a folder tells how large its files are: a byte that changed
would otherwise be a figure that nobody doubts. JSON without a seal, as earlier versions wrote it, is taken as it is.
"""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import fsspec
import numpy as np
from numpy.typing import NDArray

from pipeline.runtime import files
from pipeline.runtime.files import SUCCESS
from schemas.errors import Failure, Refusal, imported, on_one_line

Parsed = TypeVar("Parsed")
SEAL = "sha256"
logger = logging.getLogger(__name__)


class Damaged(Refusal):
    """A file is not what was written; nobody has looked further."""

    def __init__(self, uri: str, why: str) -> None:
        super().__init__(
            found=f"a damaged file: {why}",
            expected="the file as it was written",
            where=uri,
            remedy="put a whole copy of it back; the same command goes on from there",
        )
        self.why = why

    def __reduce__(self) -> tuple[object, ...]:
        return Damaged, (self.where, self.why)


def read(uri: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """What `parse` makes of the file, which has to be there. Raises Damaged; OSError where it cannot be looked at."""
    try:
        content = files.read_bytes(uri)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Damaged(uri, "it is missing") from error
    except IsADirectoryError as error:
        raise Damaged(uri, "a folder is in its place") from error
    with parsing(uri):
        return parse(content)


@contextmanager
def parsing(uri: str) -> Iterator[None]:
    """Whatever a reader of the file's content raises within is damage, but not what its file system has to say."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Refusal | MemoryError) or _is_of_file_system(error):
            raise
        raise Damaged(uri, on_one_line(error)) from error


def kept(uri: str, parse: Callable[[bytes], Parsed]) -> Parsed | None:
    """What an earlier call has kept there; None where it has kept nothing, or what is damaged, which is dropped."""
    if not files.exists(uri):
        return None
    try:
        return read(uri, parse)
    except Damaged as damaged:
        drop(uri, damaged)
        return None


def peek(uri: str, parse: Callable[[bytes], Parsed]) -> Parsed | None:
    """As `kept`, for those who make nothing: what is damaged stays where it is."""
    if not files.exists(uri):
        return None
    try:
        return read(uri, parse)
    except Damaged as damaged:
        logger.warning("%s is damaged (%s): it is left aside", damaged.where, damaged.why)
        return None


def drop(uri: str, damaged: Damaged) -> None:
    """Remove a file, or a folder of which a file is damaged, so that it is made again, and say so."""
    logger.warning("%s is damaged (%s): %s is made again", damaged.where, damaged.why, uri)
    files.remove(uri)


def write(uri: str, content: Mapping[str, Any]) -> None:
    """Sealed, and in the place of whatever is there: of a folder, too."""
    fs, path = fsspec.core.url_to_fs(uri)
    if fs.isdir(path):
        fs.rm(path, recursive=True)
    files.write_bytes(uri, sealed(content))


def sealed(content: Mapping[str, Any]) -> bytes:
    """As JSON, with its digest as the last key; what JSON has no type for becomes text."""
    plain = json.loads(json.dumps(content, default=str))
    return json.dumps({**plain, SEAL: _digest(plain)}, indent=1).encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """What was sealed. Raises ValueError where it is something else now."""
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__} in the place of an object")
    seal = found.pop(SEAL, None)
    if seal is not None and seal != _digest(found):
        raise ValueError("its content is not that of its digest")
    return found


def arrays(npz: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive, each held against its checksum, past which NumPy reads only where a header says so.

    Raises ValueError where one is another, and what zipfile and NumPy raise of what is no archive.
    """
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is not that of its checksum")
    with np.load(io.BytesIO(npz)) as found:
        return dict(found)


def mark_complete(folder_uri: str, written: Mapping[str, int | None] | None = None) -> None:
    """Say, by a file, that all the others below the folder are there, and how large they are.

    What other processes have `written` among them has to be there, as for `require_written`.
    """
    require_written(folder_uri, written or {})
    files.mark_complete(folder_uri, sealed({"sizes": _sizes(folder_uri)}))


def require_written(folder_uri: str, written: Mapping[str, int | None]) -> None:
    """Raise Failure where files below the folder, as their writers name and size them, are not to be seen from here.

    A node may have written to a disk of its own; what it has made would else be missed much later, or never.
    """
    found = _sizes(folder_uri)
    amiss = [
        name for name, size in written.items() if found.get(name, -1) != (found.get(name) if size is None else size)
    ]
    if amiss:
        is_there = amiss[0] in found
        raise Failure(
            f"{len(amiss)} of {len(written)} files that were written below {folder_uri} are not whole here, first "
            f"{amiss[0]}: {f'{found[amiss[0]]:,} bytes' if is_there else 'it is not there'}. Either a node of the "
            "cluster does not share this folder, which `nightjar doctor` would tell, or somebody removes files from it"
        )


def require_whole(folder_uri: str) -> None:
    """Raise Damaged where a file below the folder that `mark_complete` has seen is gone, or has another size."""
    listed = read(f"{folder_uri}/{SUCCESS}", lambda content: dict(unsealed(content)["sizes"]))
    found = _sizes(folder_uri)
    for name, size in listed.items():
        if name not in found:
            raise Damaged(f"{folder_uri}/{name}", "it is missing")
        if found[name] != size:
            raise Damaged(f"{folder_uri}/{name}", f"{found[name]:,} bytes instead of {size:,}")


def _sizes(folder_uri: str) -> dict[str, int]:
    """Of all files below the folder, but for those that are only being written."""
    fs, folder = fsspec.core.url_to_fs(folder_uri)
    fs.invalidate_cache(folder)  # of what other processes have written it knows nothing
    infos = fs.find(folder, detail=True).values()
    sizes = {str(info["name"]).removeprefix(f"{folder}/"): int(info["size"]) for info in infos}
    return {name: size for name, size in sorted(sizes.items()) if name != SUCCESS and "/." not in f"/{name}"}


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _is_of_file_system(error: Exception) -> bool:
    """Readers of Parquet raise bare OSErrors too, which have no number of the system's."""
    if isinstance(error, OSError):
        return type(error) is not OSError or error.errno is not None
    return isinstance(error, imported("botocore.exceptions:BotoCoreError", "botocore.exceptions:ClientError"))
