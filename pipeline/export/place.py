"""Where an export goes: a place where nothing lies yet, filled at once when all is there."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import fsspec

from pipeline.runtime import files
from schemas.errors import Refusal, on_one_line

OUT = "--out"


def require_empty(out_uri: str, kind: Literal["folder", "file"]) -> None:
    """Raise Refusal for a place that can be no folder, or no file, of ours, or at which something lies."""
    files.require_usable(out_uri, OUT, kind)
    try:
        found = files.kind_of(out_uri)
        is_empty = found is None or (
            kind == "folder" and found == "directory" and not files.names(out_uri) and not files.folders(out_uri)
        )
    except files.errors() as error:
        raise _unwritable(out_uri, error) from error
    if not is_empty:
        raise Refusal(
            found="a file" if found == "file" else "a folder" if kind == "file" else "a folder that holds something",
            expected="nothing yet",
            where=f"{OUT}: {out_uri}",
            remedy="choose another --out, or remove what lies there",
        )


@contextmanager
def folder(out_uri: str) -> Iterator[Path]:
    """A local folder whose files are put at `out_uri` when the body has ended well: in a bucket the last by name first.

    Raises Refusal where nothing can be written there.
    """
    if files.is_remote(out_uri):
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
            _put(Path(name), out_uri)
        return
    out = Path(fsspec.core.url_to_fs(out_uri)[1])
    waiting = _beside(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        waiting.mkdir()
    except OSError as error:
        raise _unwritable(out_uri, error) from error
    try:
        yield waiting
        with suppress(FileNotFoundError):
            out.rmdir()
        waiting.rename(out)
    except BaseException:
        files.remove(str(waiting))
        raise


def _put(folder: Path, out_uri: str) -> None:
    fs, path = fsspec.core.url_to_fs(out_uri)
    try:
        for written in sorted(folder.iterdir(), reverse=True):  # so that model.json is there when all is
            fs.put_file(str(written), f"{path}/{written.name}")
    except files.errors() as error:
        raise _unwritable(out_uri, error) from error


@contextmanager
def file(out_uri: str) -> Iterator[BinaryIO]:
    """Written under another name in the same folder, and moved when the body has ended well.

    Raises Refusal where nothing can be written there.
    """
    fs, path = fsspec.core.url_to_fs(out_uri)
    waiting = str(_beside(Path(path)))
    try:
        files.make_folder(fs, str(Path(path).parent))
        sink = fs.open(waiting, "wb")
    except files.errors() as error:
        raise _unwritable(out_uri, error) from error
    try:
        with sink:
            yield sink
        fs.mv(waiting, path)
    except BaseException:
        with suppress(*files.errors()):
            fs.rm_file(waiting)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def _unwritable(out_uri: str, error: Exception) -> Refusal:
    return Refusal(
        found=on_one_line(error),
        expected="a place that can be written to",
        where=f"{OUT}: {out_uri}",
        remedy="choose another --out",
    )
