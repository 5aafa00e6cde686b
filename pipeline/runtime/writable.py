"""Whether results can be written where they are to go, asked before any work is done for them."""

import os
import tempfile
from pathlib import Path
from typing import Literal

from pipeline.runtime import files
from schemas.errors import Refusal, on_one_line


def require(uri: str, where: str, kind: Literal["folder", "file"] = "folder") -> None:
    """As `files.require_usable`, and refuse a folder of this machine in which no file can be made, or no folder.

    Of a bucket only writing tells.
    """
    files.require_usable(uri, where, kind)
    if files.is_remote(uri):
        return
    path = Path(uri)
    wanted = path if kind == "folder" else path.parent
    there = next(one for one in (wanted, *wanted.parents) if os.path.isdir(one))  # noqa: PTH112 (which may raise)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise Refusal(
            found=f"a folder in which nothing can be written, {there}: {on_one_line(error)}",
            expected=f"a {kind} that can be written",
            where=where,
            remedy="choose another place, or give this user the right to write there",
        ) from error
    if kind == "file" and os.path.isdir(path):  # noqa: PTH112
        raise Refusal(
            found=f"a folder, {path}",
            expected="a file, or nothing yet",
            where=where,
            remedy="choose another name, or move the folder",
        )
