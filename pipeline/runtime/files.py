"""Write a file whole or not at all, at any fsspec URI, and say when a folder is complete."""

import os
import re
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import fsspec
from fsspec.registry import known_implementations

from schemas.errors import Refusal, imported, on_one_line

SUCCESS = "_SUCCESS"  # the file that a folder gets last
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs"}
OF_ONE_PROCESS = {"data", "memory"}  # which Ray's workers and the next command would find empty
REFUSED = re.compile(
    "(?:locate|partial) credentials|access ?denied|forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken",
    re.IGNORECASE,
)
CREDENTIALS = "give every node credentials for the bucket: a role, or AWS_* and the like where `ray start` runs"
EXAMPLES = "a path, or a URI as s3://bucket/folder"


def errors() -> tuple[type[Exception], ...]:
    """What file systems raise: OSError, and what object stores' clients and safetensors let through that is none."""
    return OSError, *imported(
        "botocore.exceptions:BotoCoreError",
        "botocore.exceptions:ClientError",
        "aiohttp:ClientError",
        "safetensors:SafetensorError",
    )


def remedy_of(words: str) -> str:
    """Where an object store does not know who asks, or will not have them; else nothing."""
    return CREDENTIALS if REFUSED.search(words) else ""


def require_usable(uri: str, where: str, kind: Literal["folder", "file"] = "folder") -> None:
    """Raise Refusal for what can be no folder, or no file, of ours; `where` names what says it.

    For the log, the work folder and results alike, on this machine or in a bucket, which is not asked for anything.
    """
    scheme, has_scheme, _ = uri.partition("://")
    if not uri or (not has_scheme and not os.path.isabs(uri)):  # noqa: PTH117 (a URI, no Path)
        raise _unusable(repr(uri), EXAMPLES, where, "write ./ before a local name that has a colon")
    wrong: tuple[type[Exception], ...] = (ValueError, *errors())
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        package = str(known_implementations.get(scheme, {}).get("class", scheme)).partition(".")[0]
        remedy = f"pip install {package}, here and where Ray's workers run"
        raise _unusable(f"{uri}: {error}", f"the package {package}", where, remedy) from error
    except wrong as error:
        raise _unusable(f"{uri}: {on_one_line(error)}", EXAMPLES, where, "correct the URI") from error
    protocols = _protocols(fs)
    if protocols & OF_ONE_PROCESS:
        raise _unusable(f"{uri}, which no other process sees", EXAMPLES, where, "name a place that all processes see")
    bucket, _, key = path.strip("/").partition("/")
    if protocols & OBJECT_STORES and not (bucket if kind == "folder" else key):
        raise _unusable(f"{uri} without a bucket", f"{scheme}://bucket/{kind}", where, "name the bucket")
    if "file" in protocols and (file := _file_on_the_way(Path(path) if kind == "folder" else Path(path).parent)):
        raise _unusable(f"a file, {file}", "a folder, or nothing yet", where, "choose another place, or move the file")
    if "s3" in protocols and not _has_credentials(fs):
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, here and where Ray's workers run"
        raise _unusable(f"{uri}, and no credentials", "credentials for the bucket", where, remedy)


def _unusable(found: str, expected: str, where: str, remedy: str) -> Refusal:
    return Refusal(found=found, expected=expected, where=where, remedy=remedy)


def _file_on_the_way(folder: Path) -> Path | None:
    """The file that lies where the folder, or one above it, would have to be."""
    return next((one for one in (folder, *folder.parents) if os.path.isfile(one)), None)  # noqa: PTH113 (which may raise)


def _has_credentials(fs: fsspec.AbstractFileSystem) -> bool:
    """As its client will look for them: in fsspec's own settings, the environment, files, the machine's role."""
    # What it was told; its own session it has, too, because it was connected before.
    if any(fs.storage_options.get(name) for name in ("anon", "key", "token", "session")):
        return True
    import botocore.session

    try:
        return botocore.session.Session(profile=fs.storage_options.get("profile")).get_credentials() is not None
    except errors():  # a profile that is not there
        return False


def _protocols(fs: fsspec.AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def is_remote(uri: str) -> bool:
    """Whether it is no path of a disk, be it one that nodes share."""
    return "://" in uri and not uri.startswith("file://")


def make_folder(fs: fsspec.AbstractFileSystem, path: str) -> None:
    """With those above it. Object stores have none; asked for one, they would make a bucket that is not there."""
    if not _protocols(fs) & OBJECT_STORES:
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
    return kind_of(uri) is not None


def kind_of(uri: str) -> str | None:
    """`file`, `directory`, or None where nothing is. Raises as `exists`."""
    fs, path = fsspec.core.url_to_fs(uri)
    try:
        return str(fs.info(path)["type"])
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(uri: str) -> None:
    """Remove a folder and what it holds; nothing happens where there is none."""
    fs, path = fsspec.core.url_to_fs(uri)
    if fs.exists(path):
        fs.rm(path, recursive=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file below a folder; its name is relative to that, `modified` is in seconds since 1970."""

    name: str
    num_bytes: int
    modified: float


def listed(uri: str) -> list[Listed]:
    """All files below the folder at `uri`, as they are now; none where there is no such folder."""
    fs, path = fsspec.core.url_to_fs(uri)
    fs.invalidate_cache()
    found: dict[str, dict[str, Any]] = fs.find(path, detail=True)
    return [
        Listed(name.removeprefix(path).lstrip("/"), int(info["size"] or 0), _modified(info))
        for name, info in sorted(found.items())
    ]


def _modified(info: dict[str, Any]) -> float:
    """By whichever name the file system calls it; 0 where it tells none."""
    when = next((info[name] for name in ("mtime", "LastModified", "updated", "created") if name in info), 0.0)
    return when.timestamp() if isinstance(when, datetime) else float(when)


def discard(uri: str) -> None:
    """Remove a folder, what says that it is complete first: cut short, it is never taken for whole."""
    remove(f"{uri}/{SUCCESS}")
    remove(uri)


def free_bytes(uri: str) -> int | None:
    """What the disk has left on which the folder lies or would be made; None of what is no local disk."""
    fs, path = fsspec.core.url_to_fs(uri)
    if "file" not in _protocols(fs):
        return None
    existing = next(folder for folder in (Path(path), *Path(path).parents) if folder.exists())
    return shutil.disk_usage(existing).free
