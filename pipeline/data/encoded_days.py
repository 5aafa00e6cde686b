"""Days that were encoded before, under the vocabulary that tonight's was grown from: their ids still mean the same.

A day of training rows is listed under all that its encoding depends on but the vocabulary, with the vocabulary it was
encoded under. Values that were added since are out of the vocabulary in it, as they were when it was encoded.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from pipeline.data.logs import Manifest
from pipeline.data.store import Store, StoredPart, stored_part
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import files, fingerprint, trusted
from pipeline.runtime.trusted import Damaged
from schemas.data import OF_NO_EFFECT, DataConfig

logger = logging.getLogger(__name__)
# The sources that decide what is encoded; of the contracts those alone that say what a row is and how it is divided.
ENCODING = (
    "schemas/checking.py",
    "schemas/click_log.py",
    "schemas/cluster.py",
    "schemas/data.py",
    "schemas/days.py",
    "schemas/errors.py",
    "schemas/features.py",
    "schemas/folder_path.py",
    "schemas/objective.py",
    "schemas/partitioning.py",
    "pipeline/data",
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A day's parts, with the vocabulary that they were encoded under."""

    vocabulary: str
    num_values: int
    parts: tuple[StoredPart, ...]

    @classmethod
    def parse(cls, content: bytes) -> "_Entry":
        listed = trusted.unsealed(content)
        parts = tuple(map(stored_part, listed["parts"]))
        if not parts or not all(part.home_uri for part in parts):
            raise ValueError("parts of no store")
        return cls(str(listed["vocabulary"]), int(listed["num_values"]), parts)

    def is_there(self) -> bool:
        """Whether the store that holds them is whole. Its own runs drop it where it is not."""
        home_uri = self.parts[0].home_uri or ""
        try:
            if files.is_complete(home_uri):
                trusted.require_whole(home_uri)
                return True
        except Damaged as damaged:
            logger.warning("%s is damaged (%s): days of its store are encoded again", damaged.where, damaged.why)
        return False


@dataclass(frozen=True, slots=True)
class EncodedDays:
    """The days encoded in one way: another config, seed or version of the code has others."""

    root_uri: str
    data: DataConfig
    seed: int

    def find(self, days: Sequence[date], manifest: Manifest, known: Vocabulary) -> list[StoredPart]:
        """The parts of those days that are encoded under a vocabulary that `known` was grown from, or under it."""
        return [part for day in days for part in self._find_day(day, manifest, known)]

    def keep(self, store: Store, manifest: Manifest, vocabulary: Vocabulary) -> None:
        """List the training days that this store has encoded itself."""
        own = [part for part in store.parts if part.split != "test" and part.home_uri is None]
        entry = {"vocabulary": vocabulary.fingerprint, "num_values": len(vocabulary.values)}
        for day in sorted({part.day for part in own}):
            parts = [asdict(replace(part, home_uri=store.uri)) for part in own if part.day == day]
            uri = f"{self._folder(day, manifest)}/{vocabulary.fingerprint}.json"
            trusted.write(uri, {**entry, "parts": parts})

    def _find_day(self, day: date, manifest: Manifest, known: Vocabulary) -> list[StoredPart]:
        folder = self._folder(day, manifest)
        if not files.exists(folder):
            return []
        kept = [trusted.kept(f"{folder}/{name}", _Entry.parse) for name in files.names(folder)]
        for entry in sorted(filter(None, kept), key=lambda entry: -entry.num_values):
            is_prefix = known.first(entry.num_values).fingerprint == entry.vocabulary
            if is_prefix and entry.is_there():
                return list(entry.parts)
        return []

    def _folder(self, day: date, manifest: Manifest) -> str:
        what = self.data.model_dump_json(exclude={"logs_uri", "split", *OF_NO_EFFECT})
        of_day = manifest.of_days([day]).fingerprint
        code = fingerprint.of_sources(*ENCODING)
        return f"{self.root_uri}/date={day}/{fingerprint.digest(what, str(self.seed), of_day, code)}"
