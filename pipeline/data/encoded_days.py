"""Days that were encoded before, under the vocabulary that tonight's was grown from: their ids still mean the same.

A day of training rows is listed under all that its encoding depends on but the vocabulary, with the vocabulary it was
encoded under. Values that were added since are out of the vocabulary in it, as they were when it was encoded.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from pipeline.data.logs import Manifest
from pipeline.data.store import Store, StoredPart
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import files, fingerprint
from schemas.config import DataConfig
from schemas.data import OF_NO_EFFECT

# The sources that decide what is encoded; of the contracts those alone that say what a row is and how it is divided.
ENCODING = (
    "schemas/checking.py",
    "schemas/click_log.py",
    "schemas/config.py",
    "schemas/data.py",
    "schemas/errors.py",
    "schemas/features.py",
    "schemas/night.py",
    "schemas/stage.py",
    "pipeline/data",
)


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
            listed = json.dumps({**entry, "parts": parts}, default=str).encode()
            files.write_bytes(f"{self._folder(day, manifest)}/{vocabulary.fingerprint}.json", listed)

    def _find_day(self, day: date, manifest: Manifest, known: Vocabulary) -> list[StoredPart]:
        folder = self._folder(day, manifest)
        if not files.exists(folder):
            return []
        entries = [json.loads(files.read_bytes(f"{folder}/{name}")) for name in files.names(folder)]
        for entry in sorted(entries, key=lambda entry: -int(entry["num_values"])):
            parts = [StoredPart(**{**part, "day": date.fromisoformat(part["day"])}) for part in entry["parts"]]
            is_prefix = known.first(entry["num_values"]).fingerprint == entry["vocabulary"]
            if is_prefix and files.is_complete(entry["parts"][0]["home_uri"]):
                return parts
        return []

    def _folder(self, day: date, manifest: Manifest) -> str:
        what = self.data.model_dump_json(exclude={"logs_uri", "split", *OF_NO_EFFECT})
        of_day = manifest.of_days([day]).fingerprint
        code = fingerprint.of_sources(*ENCODING)
        return f"{self.root_uri}/date={day}/{fingerprint.digest(what, str(self.seed), of_day, code)}"
