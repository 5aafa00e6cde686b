"""Tensors in a safetensors file that carries its own digest: a number that changed on a disk is still a number."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import fsspec
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.runtime import trusted
from pipeline.runtime.trusted import SEAL

LENGTH_BYTES = 8  # of the header's length, with which such a file begins
MAX_HEADER_BYTES = 100 * 2**20
CHUNK_BYTES = 2**20
_UNSEALED = "0" * 64


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a local file whose digest stands among its metadata: of all its bytes, with zeros in the digest's place."""
    save_file(dict(tensors), path, {SEAL: _UNSEALED})
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        header = file.read(int.from_bytes(file.read(LENGTH_BYTES), "little"))
        file.seek(LENGTH_BYTES + header.index(_UNSEALED.encode()))
        file.write(digest.encode())


def load(path: Path) -> dict[str, Tensor]:
    """All tensors of a local file, as views of it. Raises trusted.Damaged."""
    check(str(path))
    with trusted.parsing(str(path)):
        return dict(load_file(path))


def check(uri: str) -> None:
    """Raise trusted.Damaged where the file is not what was saved. Cost: that of reading it, in little memory."""
    try:
        with trusted.parsing(uri), fsspec.open(uri, "rb") as file:
            _check(file)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise trusted.Damaged(uri, "it is missing") from error


def _check(file: BinaryIO) -> None:
    """Raise ValueError."""
    length = file.read(LENGTH_BYTES)
    header = file.read(min(int.from_bytes(length, "little"), MAX_HEADER_BYTES))
    seal = json.loads(header).get("__metadata__", {}).get(SEAL)
    if seal is None:
        raise ValueError("it has no digest")
    digest = hashlib.sha256(length + header.replace(seal.encode(), _UNSEALED.encode(), 1))
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != seal:
        raise ValueError("its content is not that of its digest")
