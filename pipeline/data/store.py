"""The packed store: encoded rows, shuffled within their day, written once and read by every stage and epoch.

A folder holds `vocabulary.json`, `vocabulary.parquet`, `{train,validation,test}/date=.../part-0000.parquet` and
`parts.json`, which lists them; `_SUCCESS` comes last. A row is one binary value of int32 ids: where every field has one
id, a column of fixed size, which Parquet reads fastest and numpy views without a copy. Lengths and weights are kept of
the fields alone that can have others than 1: FM learns a row in the time that reading them of all would take.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal
from zlib import crc32

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data import footer, vocabulary_check
from pipeline.data.negatives import Thinning
from pipeline.data.packing import CLICK, to_table
from pipeline.data.rows import Rows
from pipeline.data.target import CLICKS, Target
from pipeline.data.unknown_classes import UnknownClass
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import files, trusted
from pipeline.runtime.trusted import Damaged
from schemas.days import Span
from schemas.errors import Failure
from schemas.features import FeatureSpec

SplitName = Literal["train", "validation", "test"]
ROW_GROUP_ROWS = 65_536
# A checksum with every page, and each held against it: a byte that changed can still be a number.
CHECKED, VERIFIED = {"write_page_checksum": True}, {"page_checksum_verification": True}


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One file of the store."""

    split: SplitName
    day: date
    index: int
    num_rows: int
    num_positives: int
    """Clicks; 0 where labels are none."""
    home_uri: str | None = None
    """The store that it lies in, where that is an earlier one."""
    footer_sha256: str = ""
    """Of the file's end, which says what its pages are and has no checksum of its own."""
    size_bytes: int = 0
    """0: its writer, of an earlier version, has not told."""

    @property
    def path(self) -> str:
        return f"{self.split}/date={self.day}/part-{self.index:04d}.parquet"


@dataclass(frozen=True, slots=True)
class Store:
    """A complete store. `num_ids` is the size of its vocabulary, which `read_vocabulary` reads."""

    uri: str
    num_ids: int
    parts: tuple[StoredPart, ...]
    negative_share: float = 1.0
    """Of the training rows without a click that the parts hold, those that are read."""
    target: Target = CLICKS
    """What the rows' labels mean."""
    unknown_classes: tuple[UnknownClass, ...] = ()
    """Rows that were left out for their class."""

    def uri_of(self, part: StoredPart) -> str:
        return f"{part.home_uri or self.uri}/{part.path}"

    def of_split(self, split: SplitName) -> list[StoredPart]:
        """In the order of days: training ends with the newest."""
        return sorted((part for part in self.parts if part.split == split), key=lambda part: (part.day, part.index))

    def of_span(self, span: Span, negative_share: float = 1.0) -> "Store":
        """With these of the training days alone, and of their rows without a click that share.

        Validation and held-out rows are as they were.
        """
        own = span.of(sorted({part.day for part in self.of_split("train")}))
        parts = tuple(part for part in self.parts if part.split != "train" or part.day in own)
        return replace(self, parts=parts, negative_share=negative_share)

    def thinning(self, part: StoredPart) -> Thinning:
        """What is read of the part. Where parts are small, no share of theirs is always rounded down, or up."""
        if part.split != "train":
            return Thinning()
        return Thinning(self.negative_share, crc32(part.path.encode()) / 2**32)

    def num_read(self, part: StoredPart) -> int:
        """Of the part's rows."""
        return part.num_positives + self.thinning(part).num_kept(part.num_rows - part.num_positives)

    def num_rows(self, split: SplitName) -> int:
        return sum(map(self.num_read, self.of_split(split)))

    def num_positives(self, split: SplitName) -> int:
        return sum(part.num_positives for part in self.of_split(split))


def write_part(store_uri: str, part: StoredPart, rows: Rows, label_type: pa.DataType = CLICK) -> StoredPart:
    """The part as it is to be listed."""
    buffer = io.BytesIO()
    pq.write_table(
        to_table(rows, label_type),
        buffer,
        row_group_size=ROW_GROUP_ROWS,
        compression="lz4",  # half as large again as zstd makes it, and read at twice the rate
        use_dictionary=False,
        write_statistics=False,
        **CHECKED,
    )
    files.write_bytes(f"{store_uri}/{part.path}", buffer.getvalue())
    return replace(part, footer_sha256=footer.digest(buffer), size_bytes=buffer.getbuffer().nbytes)


def write_vocabulary(uri: str, vocabulary: Vocabulary) -> None:
    buffer = io.BytesIO()
    pq.write_table(vocabulary.values, buffer, compression="zstd", **CHECKED)
    files.write_bytes(f"{uri}/vocabulary.parquet", buffer.getvalue())
    trusted.write(f"{uri}/vocabulary.json", json.loads(vocabulary.layout_json()))


def read_vocabulary(uri: str, spec: FeatureSpec) -> Vocabulary:
    """Raises trusted.Damaged, also for ids that no vocabulary of this spec can have."""
    layout = trusted.read(f"{uri}/vocabulary.json", trusted.unsealed)
    values_uri = f"{uri}/vocabulary.parquet"
    values = trusted.read(values_uri, lambda content: pq.read_table(pa.BufferReader(content), **VERIFIED))
    with trusted.parsing(values_uri):
        vocabulary = Vocabulary.from_parts(spec, json.dumps(layout), values)
        vocabulary_check.check(vocabulary)
    return vocabulary


def read_target(uri: str) -> Target:
    """What the labels mean of a vocabulary that is written there; its values are not read. Raises trusted.Damaged."""
    return trusted.read(f"{uri}/vocabulary.json", lambda content: Target.from_json(trusted.unsealed(content)))


@contextmanager
def opened(part_uri: str, footer_sha256: str) -> Iterator[pq.ParquetFile]:
    """A part, each page of which is held against its checksum as it is read, and its end against that digest, if any.

    Raises Failure where it is damaged, which its size has not told: the whole store then counts as incomplete, so that
    the next call makes it anew.
    """
    try:
        with trusted.parsing(part_uri), fsspec.open(part_uri, "rb") as stream:
            if footer_sha256 and footer.digest(stream) != footer_sha256:
                raise ValueError("its footer is not that of its digest")
            yield pq.ParquetFile(stream, **VERIFIED)
    except Damaged as damaged:
        store_uri = part_uri.rsplit("/", 3)[0]
        files.remove(f"{store_uri}/{files.SUCCESS}")
        raise Failure(f"{part_uri} is damaged ({damaged.why}): the same command encodes its rows again") from damaged


def without_groups(part: pq.ParquetFile) -> list[str]:
    """The columns that are trained on: groups are what metrics go by."""
    return [name for name in part.schema_arrow.names if name != "group"]


def complete(
    store_uri: str,
    num_ids: int,
    parts: list[StoredPart],
    vocabulary_fingerprint: str = "",
    target: Target = CLICKS,
    unknown_classes: Sequence[UnknownClass] = (),
) -> Store:
    """List the parts, then mark the store as whole.

    Raises Failure where a part that another node has written for it is not to be seen from here.
    """
    listed = {
        "num_ids": num_ids,
        "vocabulary": vocabulary_fingerprint,
        "parts": [asdict(part) for part in parts],
        **target.to_json(),
        **({"unknown_classes": [one.to_json() for one in unknown_classes]} if unknown_classes else {}),
    }
    trusted.write(f"{store_uri}/parts.json", listed)
    trusted.mark_complete(store_uri, {part.path: part.size_bytes or None for part in parts if not part.home_uri})
    return Store(store_uri, num_ids, tuple(parts), target=target, unknown_classes=tuple(unknown_classes))


def listed(store_uri: str) -> Store | None:
    """What a complete store says of itself; none of its other files is looked at. Raises Damaged."""
    return _read_listing(store_uri)[0] if files.is_complete(store_uri) else None


def open_store(store_uri: str, spec: FeatureSpec) -> Store | None:
    """The store, or None where none was completed, or one of whose files is damaged: that is dropped."""
    if not files.is_complete(store_uri):
        return None
    try:
        trusted.require_whole(store_uri)
        found, fingerprint = _read_listing(store_uri)
        for home_uri in sorted({part.home_uri for part in found.parts if part.home_uri}):
            trusted.require_whole(home_uri)
        if fingerprint and read_vocabulary(store_uri, spec).fingerprint != fingerprint:
            raise Damaged(f"{store_uri}/vocabulary.parquet", f"it is not the vocabulary {fingerprint}")
    except Damaged as damaged:
        trusted.drop(store_uri, damaged)
        return None
    return found


def _read_listing(store_uri: str) -> tuple[Store, str]:
    """The store, and the fingerprint of its vocabulary."""

    def parse(content: bytes) -> tuple[Store, str]:
        found = trusted.unsealed(content)
        parts = tuple(map(stored_part, found["parts"]))
        unknown = tuple(map(UnknownClass.from_json, found.get("unknown_classes", ())))
        own = Store(store_uri, int(found["num_ids"]), parts, target=Target.from_json(found), unknown_classes=unknown)
        return own, str(found.get("vocabulary", ""))

    return trusted.read(f"{store_uri}/parts.json", parse)


def stored_part(listed: Mapping[str, Any]) -> StoredPart:
    """A part as JSON lists it."""
    return StoredPart(**{**listed, "day": date.fromisoformat(listed["day"])})
