"""What lies in a folder of the log, as fsspec tells it, at any file system."""

from collections.abc import Sequence
from typing import Any

import fsspec

from schemas.errors import Refusal

Info = dict[str, Any]
"""What fsspec tells of a file or folder: name, size, type."""


def listed(fs: fsspec.AbstractFileSystem, path: str) -> list[Info]:
    """By name; none where there is no such folder."""
    try:
        infos: list[Info] = fs.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(infos, key=lambda info: str(info["name"]))


def name_of(info: Info) -> str:
    return str(info["name"]).rstrip("/").rsplit("/", 1)[-1]


def is_note(name: str) -> bool:
    """Whether it is another tool's, and counts as neither rows nor folders of some."""
    return name[:1] in ("_", ".")


def without_notes(infos: Sequence[Info]) -> list[Info]:
    return [info for info in infos if not is_note(name_of(info))]


def followed(fs: fsspec.AbstractFileSystem, info: Info) -> Info:
    """What a symbolic link leads to, under the link's own name."""
    if not info.get("islink"):
        return info
    try:
        return {**fs.info(info["name"]), "name": info["name"]}
    except OSError as error:
        raise Refusal(
            found=f"a symbolic link that leads nowhere, to {info.get('destination', 'itself')!s}",
            expected="a link to a Parquet file",
            where=fs.unstrip_protocol(info["name"]),
            remedy="put the file back that it leads to, or remove the link",
        ) from error


def first_within(fs: fsspec.AbstractFileSystem, folder: Info) -> str | None:
    """The first file in the folder or below, neither empty nor another tool's note; None where there is none."""
    path = str(folder["name"]).rstrip("/")
    for name, inner in sorted(fs.find(path, detail=True).items()):
        if inner["size"] and not any(map(is_note, name.removeprefix(path).strip("/").split("/"))):
            return str(name)
    return None
