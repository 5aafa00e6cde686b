"""What becomes of a file on a bad disk, or in the hands of somebody in a hurry: each kind of damage, to one file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    """A bit in the middle, where most files have their figures."""
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _without_a_key(path: Path) -> None:
    """As another version might have written it."""
    found = _json(path)
    path.write_text(json.dumps(dict(list(found.items())[1:]) if isinstance(found, dict) else []))


def _of_other_types(path: Path) -> None:
    found = _json(path)
    path.write_text(json.dumps({key: [None] for key in found} if isinstance(found, dict) else "text"))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


KINDS: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut": _cut,
    "flipped": _flip,
    "null": lambda path: path.write_text("null"),
    "a-list": lambda path: path.write_text("[1]"),
    "another-version": _without_a_key,
    "other-types": _of_other_types,
    "no-utf-8": lambda path: path.write_bytes(b"\xff\xfe{\x00"),
    "removed": Path.unlink,
    "a-folder": _put_folder,
}
OF_JSON = {"null", "a-list", "another-version", "other-types", "no-utf-8"}


def kinds_of(path: Path) -> list[str]:
    """Those that tell more of this file than others do."""
    is_json = _json(path) is not None or path.suffix == ".json"
    return [kind for kind in KINDS if is_json or kind not in OF_JSON]


def files_below(folder: Path) -> list[Path]:
    """All of them, relative to the folder, in order."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def put_back(kept: Path, folder: Path) -> None:
    """Make the folder what it was when it was copied to `kept`."""
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
