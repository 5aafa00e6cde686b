"""What a retrain or a sweep reads: the days chosen and checked, then counted and encoded into the packed store."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pipeline
import schemas
from pipeline.data import files, logs, passes, quality, split, store, vocabulary
from pipeline.data.logs import Manifest
from pipeline.data.store import Store
from pipeline.data.vocabulary import Vocabulary
from pipeline.training import trainer
from schemas.config import DateSplit, TrainConfig
from schemas.loading import absolute


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show: `done` of `total` units of a task, and a note."""

    task: str
    done: int
    total: int
    note: str = ""


Show = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a retrain reads, chosen and checked before anything expensive; `identity` is that of the whole retrain."""

    manifest: Manifest
    train_days: tuple[date, ...]
    test_days: tuple[date, ...]
    identity: str


def find_inputs(config: TrainConfig, show: Show) -> Inputs:
    """Choose the days, read the footers of their files, and name the retrain by all that its result depends on."""
    data = config.data
    show(Event("check the log", 0, 1))
    days = logs.days_of(data.logs_uri, data.features)
    train_days, test_days = split.choose_days(days, data.split, data.logs_uri)
    manifest = logs.find(data.logs_uri, sorted({*train_days, *test_days}), data.features)
    show(Event("check the log", 1, 1, f"{manifest.num_rows:,} rows, {len(manifest.days)} days"))
    return Inputs(manifest, tuple(train_days), tuple(test_days), identity_of(config, manifest))


def encoded_store(config: TrainConfig, inputs: Inputs, show: Show, known: Vocabulary | None = None) -> Store:
    """The store of these inputs: opened if an earlier retrain has made it, else counted and encoded.

    Its vocabulary is grown from the `known` one, whose ids stay what they are.
    """
    data, manifest, test_days = config.data, inputs.manifest, inputs.test_days
    what = data.model_dump_json(exclude={"logs_uri"})
    name = _digest(
        what, str(config.seed), manifest.fingerprint, _code_fingerprint(), known.fingerprint if known else ""
    )
    uri = f"{absolute(config.work_uri)}/encoded/{name}"
    encoded = store.open_store(uri)
    if encoded is None:
        show(Event("count values", 0, 1))
        counts = passes.count_values(manifest, data.features, data.split, test_days, data.rows_per_part)
        vocab = known.grow(counts) if known else vocabulary.build(data.features, counts)
        show(Event("count values", 1, 1, f"{vocab.num_ids:,} ids"))
        trainer.check_memory(config, vocab.num_ids)  # before the longer pass, too
        show(Event("encode rows", 0, 1))
        files.remove(uri)
        store.write_vocabulary(uri, vocab)
        parts = passes.encode_rows(
            manifest, vocab, data.split, test_days, data.rows_per_part, config.seed, uri,
            data.validation_share, data.negative_share,
        )  # fmt: skip
        encoded = store.complete(uri, vocab.num_ids, parts)
        show(
            Event("encode rows", 1, 1, f"{encoded.num_rows('train'):,} to train, {encoded.num_rows('test'):,} held out")
        )
    quality.check_classes(encoded.num_rows("train"), encoded.num_positives("train"), "training", data.logs_uri)
    held_out = f"{data.logs_uri}, {', '.join(map(str, test_days[:3]))}{' ...' if len(test_days) > 3 else ''}"
    if data.validation_share:
        num_rows, num_positives = encoded.num_rows("validation"), encoded.num_positives("validation")
        quality.check_classes(num_rows, num_positives, "validation", data.logs_uri)
    quality.check_classes(encoded.num_rows("test"), encoded.num_positives("test"), "held-out", held_out)
    return encoded


def best_possible_ne(config: TrainConfig, inputs: Inputs) -> float | None:
    """What the truth of a synthetic log says of its one held-out day."""
    uri = f"{config.data.logs_uri}/truth.json"
    if not isinstance(config.data.split, DateSplit) or len(inputs.test_days) != 1 or not files.exists(uri):
        return None
    days = {day["date"]: day for day in json.loads(files.read_bytes(uri))["days"]}
    day = days.get(str(inputs.test_days[0]))
    return float(day["ne"]) if day else None


def identity_of(config: TrainConfig, manifest: Manifest) -> str:
    """Not by the cluster's size: what two workers began one may end, from their checkpoint."""
    of_cluster = {"address", "num_workers", "cpus_per_worker", "use_gpu"}
    what = config.model_dump_json(exclude={"work_uri": True, "mlflow": True, "cluster": of_cluster})
    return _digest(what, manifest.fingerprint, _code_fingerprint())


def _code_fingerprint() -> str:
    """Changes with the library's code: what a new version makes is not what an old one made."""
    folders = [Path(package.__file__).parent for package in (pipeline, schemas) if package.__file__]
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return _digest(*(path.read_text(encoding="utf-8") for path in sources))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
