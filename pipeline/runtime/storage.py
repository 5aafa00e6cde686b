"""Whether all nodes find, at a URI, the disk or bucket that this process finds there."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import fsspec

from pipeline.runtime import files
from pipeline.runtime.check import Check, Node, told
from schemas.errors import Refusal

HEAD_BYTES = 65_536  # of a file, by which it is known


class NotShared(Exception):
    """What one machine has written is not what another one reads."""


@dataclass
class SharedFolder(Check):
    """A folder in which every node reads what this process has written, and writes what this process reads.

    All of it lies in a folder of its own, which goes with the check. A node that sees another disk writes nothing.
    """

    key: str
    uri: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def where(self) -> str:
        return f"{self.key}: {self.uri}"

    @property
    def matters_here(self) -> bool:
        return files.is_remote(self.uri)

    @property
    def folder_uri(self) -> str:
        return f"{self.uri}/.probe-{self.token[:12]}"

    def begin(self) -> None:
        files.write_bytes(f"{self.folder_uri}/asked", self.token.encode())

    def on_node(self, node_id: str) -> None:
        _require(f"{self.folder_uri}/asked", self.token, "what this machine has written is not there")
        files.write_bytes(f"{self.folder_uri}/{node_id}", node_id.encode())

    def confirm(self, node_id: str) -> None:
        _require(f"{self.folder_uri}/{node_id}", node_id, "what it has written is not to be seen here")

    def end(self) -> None:
        files.remove(self.folder_uri)

    def refusal(self, amiss: Mapping[Node, str]) -> Refusal:
        return _refusal(self, self.uri, "a folder that every node of the cluster reads and writes", amiss)


@dataclass
class SameFile(Check):
    """A file that every node reads as this process does."""

    key: str
    uri: str
    head: str = ""
    """What tells its beginning from others, as this process has read it."""

    @property
    def where(self) -> str:
        return f"{self.key}: {self.uri}"

    @property
    def matters_here(self) -> bool:
        return files.is_remote(self.uri)

    def begin(self) -> None:
        self.head = _head(self.uri)

    def on_node(self, node_id: str) -> None:
        try:
            head = _head(self.uri)
        except FileNotFoundError as error:
            raise NotShared("the file is not there") from error
        if head != self.head:
            raise NotShared("another file lies there")

    def refusal(self, amiss: Mapping[Node, str]) -> Refusal:
        return _refusal(self, self.uri, "a file that every node of the cluster reads", amiss)


def _require(uri: str, content: str, otherwise: str) -> None:
    try:
        found = files.read_bytes(uri).decode(errors="replace")
    except FileNotFoundError as error:
        raise NotShared(otherwise) from error
    if found != content:
        raise NotShared(otherwise)


def _head(uri: str) -> str:
    fs, path = fsspec.core.url_to_fs(uri)
    fs.invalidate_cache()
    return hashlib.sha256(fs.cat_file(path, start=0, end=HEAD_BYTES)).hexdigest()


def _refusal(check: Check, uri: str, expected: str, amiss: Mapping[Node, str]) -> Refusal:
    return Refusal(
        found=told(amiss),
        expected=expected,
        where=check.where,
        remedy=files.CREDENTIALS
        if files.is_remote(uri)
        else "name a disk that all nodes mount at that path, or a bucket: s3://bucket/folder",
    )
