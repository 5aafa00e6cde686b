"""Write a file whole or not at all, at any fsspec URI, and say when a folder is complete."""

import uuid
from contextlib import suppress
from pathlib import Path

import fsspec

from schemas.errors import imported

SUCCESS = "_SUCCESS"  # the file that a folder gets last
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs"}


def errors() -> tuple[type[Exception], ...]:
    """What file systems raise: OSError, and what object stores' clients and safetensors let through that is none."""
    return OSError, *imported(
        "botocore.exceptions:BotoCoreError",
        "botocore.exceptions:ClientError",
        "aiohttp:ClientError",
        "safetensors:SafetensorError",
    )


def make_folder(fs: fsspec.AbstractFileSystem, path: str) -> None:
    """With those above it. Object stores have none; asked for one, they would make a bucket that is not there."""
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if not protocols & OBJECT_STORES:
        fs.makedirs(path, exist_ok=True)


def write_bytes(uri: str, content: bytes) -> None:
    """Write under a temporary name in the same folder, then move: a reader sees the old file or the new one."""
    fs, path = fsspec.core.url_to_fs(uri)
    folder, _, name = path.rpartition("/")
    make_folder(fs, folder)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}"
    try:
        fs.pipe_file(temporary, content)
    except errors():
        with suppress(*errors()):  # what was written of it would keep a full disk full
            fs.rm_file(temporary)
        raise
    fs.mv(temporary, path)


def mark_complete(folder_uri: str, content: bytes = b"") -> None:
    """Say, by a file, that all the others of the folder are there."""
    write_bytes(f"{folder_uri}/{SUCCESS}", content)


def is_complete(folder_uri: str) -> bool:
    return exists(f"{folder_uri}/{SUCCESS}")


def read_bytes(uri: str) -> bytes:
    fs, path = fsspec.core.url_to_fs(uri)
    return bytes(fs.cat_file(path))


def fetch(uri: str, folder: Path) -> Path:
    """Copy the files of the folder at `uri`, but not of its subfolders, into a local one, and return that."""
    fs, path = fsspec.core.url_to_fs(uri)
    for info in fs.ls(path, detail=True):
        if info["type"] == "file":
            fs.get_file(info["name"], str(folder / str(info["name"]).rsplit("/", 1)[-1]))
    return folder


def names(uri: str) -> list[str]:
    """The names of the files in the folder at `uri`, sorted."""
    fs, path = fsspec.core.url_to_fs(uri)
    infos = fs.ls(path, detail=True)
    return sorted(str(info["name"]).rsplit("/", 1)[-1] for info in infos if info["type"] == "file")


def folders(uri: str) -> list[str]:
    """Names of the folders in the folder at `uri`, sorted."""
    fs, path = fsspec.core.url_to_fs(uri)
    infos = fs.ls(path, detail=True)
    return sorted(str(info["name"]).rstrip("/").rsplit("/", 1)[-1] for info in infos if info["type"] == "directory")


def exists(uri: str) -> bool:
    """Raises where it must not be looked for, of which fsspec's own `exists` says that nothing is there."""
    fs, path = fsspec.core.url_to_fs(uri)
    try:
        fs.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove(uri: str) -> None:
    """Remove a folder and what it holds; nothing happens where there is none."""
    fs, path = fsspec.core.url_to_fs(uri)
    if fs.exists(path):
        fs.rm(path, recursive=True)
