"""Whether the night of a day is over, and under what it was done.

A night is done once for a registered model, whatever its config has become since: the champion goes on from what it
came to. Another log of the day is another matter: then the night is open again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.data.logs import Manifest
from pipeline.nights import records
from pipeline.nights.days import Days
from pipeline.nights.records import Night
from pipeline.registry.opening import flatten
from pipeline.retrain.dataset import IN_NO_KEY, TRAINING, differing, settings_of_cluster
from pipeline.runtime import fingerprint
from schemas.config import TrainConfig
from schemas.defaults import tree_of
from schemas.redaction import redacted

MOST_KEYS = 5  # that are named of those that differ
NOT_THERE = "nothing"


@dataclass(frozen=True, slots=True)
class Over:
    """A night that is over; empty is what nothing is to be said of."""

    night: Night
    differs: tuple[str, ...] = ()
    """From what is asked for now: `key: old -> new`, or what else is another."""
    cluster: tuple[str, ...] = ()
    """Settings that are asked for otherwise now and change nothing of what it came to, as `differs`."""
    rewritten: tuple[date, ...] = ()
    """Held-out days whose files are others now."""

    @property
    def words(self) -> str:
        """Under what it was done, where that is another config than the one which asks."""
        if self.differs:
            return f"done under another config: {', '.join(self.differs)}"
        return f"done with other settings, which change no result: {', '.join(self.cluster)}" if self.cluster else ""


def find(config: TrainConfig, days: Days) -> Over | None:
    """The day's night, if it is over: under the same key, else of the same log, else of another one."""
    nights = [night for night in records.of_day(config, days.day) if night.outcome != "stopped"]
    now = settings_of_cluster(config)
    same = next((Over(one, cluster=differing(one.cluster, now)) for one in nights if one.key == days.key), None)
    if same or not nights:
        return same
    others = [
        Over(night, tuple(_differing(night, config, days)), rewritten=_rewritten(night, days)) for night in nights
    ]
    return min(others, key=lambda other: (bool(other.rewritten), len(other.differs)))


def settings_of(config: TrainConfig) -> dict[str, str]:
    """All of the config that a night's key depends on, by dotted key; its days are its own. Without passwords."""
    tree = tree_of(config, IN_NO_KEY | {"data": {"split"}})
    flat = {**dict(flatten(tree)), **dict(flatten(tree["data"]["features"], "data.features."))}
    return {key: redacted(value) for key, value in flat.items()}


def log_of(manifest: Manifest) -> dict[str, str]:
    """Day -> what tells its files from others, wherever they lie."""
    of_day: dict[str, list[str]] = {str(day): [] for day in manifest.days}
    for file in manifest.files:
        of_day[str(file.day)].append(f"{file.uri.rpartition('/')[2]} {file.size_bytes} {file.footer_sha256}")
    return {day: fingerprint.digest(*files) for day, files in of_day.items()}


def code() -> str:
    """The sources that a night's key depends on."""
    return fingerprint.of_sources(*TRAINING)


def _rewritten(night: Night, days: Days) -> tuple[date, ...]:
    """None of a night whose record, an older one, does not tell its log."""
    now = log_of(days.manifest.of_days(days.held_out))
    return tuple(day for day in days.held_out if night.log and night.log.get(str(day)) != now[str(day)])


def _differing(night: Night, config: TrainConfig, days: Days) -> Iterator[str]:
    if not night.settings:
        yield "its record does not say which"
        return
    keys = list(_differing_keys(night.settings, settings_of(config)))
    yield from keys[:MOST_KEYS]
    if len(keys) > MOST_KEYS:
        yield f"and {len(keys) - MOST_KEYS} more"
    now = log_of(days.manifest)
    for day in sorted(now.keys() & night.log.keys()):
        if now[day] != night.log[day]:
            yield f"the log of {day} was another"
    if night.code != code():
        yield "the version of Nightjar was another"


def _differing_keys(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys([*new, *old]):
        if old.get(key) != new.get(key):
            yield f"{key}: {old.get(key, NOT_THERE)} -> {new.get(key, NOT_THERE)}"
