"""What a retrain or a sweep reads: the days chosen and checked, then counted and encoded into the packed store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pipeline.data import logs, passes, split, store, variety, vocabulary
from pipeline.data.encoded_days import EncodedDays
from pipeline.data.left_aside import in_words
from pipeline.data.logs import Manifest
from pipeline.data.missing_hours import missing_in_words
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import SplitName, Store, StoredPart
from pipeline.data.vocabulary import Vocabulary
from pipeline.data.windows import different_labels
from pipeline.profiles import class_check, profiler
from pipeline.profiles.profiler import PROFILING
from pipeline.registry.predicting import PREDICTING
from pipeline.retrain import stage_days
from pipeline.runtime import files, fingerprint, trusted
from pipeline.runtime.progress import Event, Show
from schemas.config import TrainConfig
from schemas.data import OF_NO_EFFECT
from schemas.defaults import tree_of
from schemas.stage import StageConfig

# The sources that decide what a retrain comes to: how its rows are encoded, how its stages start and learn, what their
# figures are. A stage that starts from a registered model reads that one's bundle.
TRAINING = (
    *PROFILING,
    *PREDICTING,
    "pipeline/profiles/class_check.py",
    "pipeline/training",
    "schemas/defaults.py",
    "pipeline/retrain/dataset.py",
    "pipeline/retrain/defaults.py",
    "pipeline/retrain/stage_days.py",
    "pipeline/retrain/warm_start.py",
)

# What of a config changes no result. The cluster's size: what two workers began one may end, from their checkpoint. Of
# a night when it begins, and what is said of its data: where a breach ends it, nothing has come of it.
IN_NO_KEY: dict[str, Any] = {
    "work_uri": True,
    "mlflow": True,
    "explain": True,
    "retention": True,
    "data": OF_NO_EFFECT,
    "checkpoint": {"every_seconds"},
    "cluster": {"address", "num_workers", "cpus_per_worker", "use_gpu", "wait_seconds", "starved_seconds"},
    "night": {"lease_seconds", "wait_seconds", "eviction", "complete", "label_delay_days", "quality"},
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Which days of the log a retrain is about, and their files: chosen and checked before anything expensive."""

    manifest: Manifest
    split: ResolvedSplit
    identity: str
    """The name of the whole retrain: same config, log and code, same name."""
    learned_before: tuple[date, ...] = ()
    """Days that the registered model had learned, for stages that start from it."""

    @property
    def train_days(self) -> tuple[date, ...]:
        return self.split.train_days

    @property
    def test_days(self) -> tuple[date, ...]:
        return self.split.test_days

    @property
    def judged_split(self) -> ResolvedSplit:
        """By which a model is judged: where nothing is held out, on what it has learned."""
        return self.split if self.test_days else replace(self.split, test_days=self.train_days)

    def learned_days(self, stage: StageConfig, config: TrainConfig) -> tuple[date, ...]:
        """All that the stage's model has seen of the log when it is trained."""
        own = config.span_of(stage).of(self.train_days)
        return tuple(sorted({*self.learned_before, *own})) if stage.starts_from_model else own


def find_inputs(config: TrainConfig, show: Show) -> Inputs:
    """Choose the days, read the footers of their files, and name the retrain by all that its result depends on."""
    data = config.data
    show(Event("check the log", 0, 1))
    days = logs.days_of(data)
    resolved = split.resolve(days, data)
    stage_days.require(config, resolved.train_days)
    manifest = logs.find(data, resolved.days)
    note = f"{manifest.num_rows:,} rows, {len(manifest.days)} days"
    others = [missing_in_words(manifest.missing_hours), in_words(manifest.left_aside)]
    show(Event("check the log", 1, 1, "; ".join(filter(None, [note, *others]))))
    return Inputs(manifest, resolved, identity_of(config, manifest))


def encoded_store(config: TrainConfig, inputs: Inputs, show: Show, known: Vocabulary | None = None) -> Store:
    """The store of these inputs: opened if an earlier retrain has made it, else counted and encoded.

    Its vocabulary is grown from the `known` one, whose ids stay what they are, with fields that the config has beside
    its own. Days that were encoded on the way to that one are taken as they are, unless the config says to encode them
    again.
    """
    data, manifest, work = config.data, inputs.manifest, config.work_uri
    earlier = EncodedDays(f"{work}/encoded/days", data, config.seed)
    reused = earlier.find(inputs.train_days, manifest, known) if known and not config.night.reencode else []
    uri = f"{work}/encoded/{store_name(config, manifest, known, reused)}"
    encoded = store.open_store(uri, data.features)
    if encoded is None:
        if data.max_bad_share:
            profiler.profile_days(manifest, data, work)  # which refuses too many bad rows, and keeps them in quarantine
        vocab = _vocabulary(config, inputs, show, known)
        encoded = _encode(config, inputs, show, vocab, reused, uri)
        earlier.keep(encoded, manifest, vocab)
    _check_classes(encoded, config, inputs.test_days)
    return encoded


def store_name(
    config: TrainConfig, manifest: Manifest, known: Vocabulary | None = None, reused: Sequence[StoredPart] = ()
) -> str:
    """By all that the store's content depends on."""
    what = config.data.model_dump_json(exclude={"logs_uri", *OF_NO_EFFECT})
    grown_from = known.fingerprint if known else ""
    code = fingerprint.of_sources(*PROFILING)
    return fingerprint.digest(what, str(config.seed), manifest.fingerprint, code, grown_from, *map(str, reused))


def _vocabulary(config: TrainConfig, inputs: Inputs, show: Show, known: Vocabulary | None) -> Vocabulary:
    """Built of the training rows' values, or grown by them; days that were counted with their profiles are not read."""
    show(Event("count values", 0, 1))
    data, manifest, split, work = config.data, inputs.manifest, inputs.split, config.work_uri
    counted = [] if split.by_key else profiler.counted_days(manifest, data, work)
    learned = [day for day in counted if day not in (*split.validation_days, *split.test_days)]
    others = manifest.of_days([day for day in manifest.days if day not in counted])
    counts = passes.count_values(others, data, split, profiler.counts_of(learned, manifest, data, work))
    vocab = known.under(data.features, counts).grow(counts) if known else vocabulary.build(data.features, counts)
    by_profile = f"; {len(learned)} days as their profiles have counted them" if learned else ""
    show(Event("count values", 1, 1, f"{vocab.num_ids:,} ids{by_profile}", others.num_rows))
    return vocab


def _encode(
    config: TrainConfig, inputs: Inputs, show: Show, vocab: Vocabulary, reused: Sequence[StoredPart], uri: str
) -> Store:
    """A store of all days at `uri`; those that are `reused` stay where they are."""
    from pipeline.training import fitting  # torch comes with it, which finding the inputs is in no need of

    fitting.check_memory(config.table, config.cluster, config.plan, vocab.num_ids)  # before the longer pass, too
    unknown = class_check.unknown_classes(inputs.manifest, config.data, vocab.classes, config.work_uri)
    show(Event("encode rows", 0, 1))
    files.remove(uri)
    store.write_vocabulary(uri, vocab)
    old = {part.day for part in reused}
    manifest = inputs.manifest.of_days([day for day in inputs.manifest.days if day not in old])
    parts = passes.encode_rows(manifest, vocab, config.data, inputs.split, config.seed, uri)
    encoded = store.complete(uri, vocab.num_ids, [*reused, *parts], vocab.fingerprint, vocab.target, unknown)
    of_validation = encoded.num_rows("validation")
    validated = f", {of_validation:,} to validate" if of_validation else ""
    note = f"{encoded.num_rows('train'):,} to train{validated}, {encoded.num_rows('test'):,} held out"
    show(Event("encode rows", 1, 1, note + f"; {len(old)} days as they were" * bool(old), manifest.num_rows))
    return encoded


def _check_classes(encoded: Store, config: TrainConfig, test_days: Sequence[date]) -> None:
    data = config.data
    of_stages = {
        f", days of stage {stage.name!r}": encoded.of_span(config.span_of(stage), stage.negative_share)
        for stage in config.plan
    }
    for whose, part in {"": encoded, **of_stages}.items():
        _check_split(part, "train", "training", f"{data.logs_uri}{whose}")
    held_out = f"{data.logs_uri}, {', '.join(map(str, test_days[:3]))}{' ...' if len(test_days) > 3 else ''}"
    if data.has_validation:
        _check_split(encoded, "validation", "validation", data.logs_uri)
    if test_days:
        _check_split(encoded, "test", "held-out", held_out)


def _check_split(encoded: Store, split_name: SplitName, what: str, where: str) -> None:
    num_rows = encoded.num_rows(split_name)
    if encoded.target.objective == "binary":
        variety.check_classes(num_rows, encoded.num_positives(split_name), what, where)
    else:
        labels = map(encoded.target.name, different_labels(encoded, split_name))
        variety.check_labels(num_rows, [*labels], what, where)


def best_possible_ne(logs_uri: str, inputs: Inputs) -> float | None:
    """What the truth of a synthetic log says of its one held-out day. Raises trusted.Damaged."""
    uri = f"{logs_uri}/truth.json"
    if inputs.split.by_key or len(inputs.test_days) != 1 or not files.exists(uri):
        return None
    return trusted.read(uri, _nes_of_truth).get(str(inputs.test_days[0]))


def _nes_of_truth(content: bytes) -> dict[str, float]:
    return {day["date"]: float(day["ne"]) for day in trusted.unsealed(content)["days"]}


def identity_of(config: TrainConfig, manifest: Manifest) -> str:
    """The name of what these come to; see IN_NO_KEY."""
    what = json.dumps(tree_of(config, IN_NO_KEY))
    return fingerprint.digest(what, manifest.fingerprint, fingerprint.of_sources(*TRAINING))


def settings_of_cluster(config: TrainConfig) -> dict[str, str]:
    """By dotted key, what a result was made with that changes nothing of it: its name does not tell."""
    found = config.cluster.model_dump(mode="json", include=IN_NO_KEY["cluster"] - {"address", "wait_seconds"})
    return {f"cluster.{key}": json.dumps(value) for key, value in sorted(found.items())}


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """`key: old -> new` for the keys that both have, and not alike."""
    return tuple(f"{key}: {then[key]} -> {now[key]}" for key in now if then.get(key, now[key]) != now[key])
