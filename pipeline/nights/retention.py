"""What of the past stays and what goes: a pure function of what is there, tested by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pipeline.nights.days import days_before
from pipeline.registry.removal import Registered
from pipeline.retrain.leftovers import Leftovers
from schemas.night import RetentionConfig

STALE_SECONDS = 86_400.0  # after which what nobody has completed is no longer taken for being made
Kind = Literal["tables", "run", "store", "listing", "counts", "quarantine", "version", "model"]


@dataclass(frozen=True, slots=True)
class Run:
    """A folder of runs/."""

    leftovers: Leftovers
    is_finished: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """A store of encoded rows; `days` are the training days whose rows lie in it, none where it is not complete."""

    name: str
    num_bytes: int
    modified: float
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class OfDay:
    """What is kept of one day."""

    name: str
    num_bytes: int
    day: date


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a work folder and a registered model hold. Empty where somebody is at work on it."""

    runs: tuple[Run, ...] = ()
    stores: tuple[Encoded, ...] = ()
    listings: tuple[OfDay, ...] = ()
    """Which stores hold which day."""
    counts: tuple[OfDay, ...] = ()
    """Of the values of profiled days."""
    quarantine: tuple[OfDay, ...] = ()
    versions: tuple[Registered, ...] = ()
    models_alone: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """URIs of models that the config starts from."""
    first_needed: date | None = None
    """The first day of the window of whichever night is next; None: not known."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What goes, and why. `num_bytes` are None where they are not known yet."""

    kind: Kind
    name: str
    why: str
    num_bytes: int | None = None
    model_id: str = ""
    """Of a version, and of a model without one."""


def leaving(holdings: Holdings, config: RetentionConfig, now: float) -> list[Leaving]:
    """What goes, in an order in which it may be cut short anywhere and asked for again. `now` in seconds since 1970.

    Never what an alias or the config names, nor what the next night's window holds.
    """
    return [
        *_runs(holdings.runs, config.runs),
        *_stores(holdings, config.encoded_days, now),
        *_quarantine(holdings.quarantine, config.quarantine_days),
        *_versions(holdings, config.versions),
    ]


def _runs(runs: Sequence[Run], num_kept: int | None) -> Iterator[Leaving]:
    if num_kept is None:
        return
    for run in runs:
        if run.is_finished and run.leftovers.spare:
            name, num_bytes = _name_of(run), run.leftovers.spare_bytes
            yield Leaving("tables", name, "its run is finished; the results stay", num_bytes)
    unfinished = [run for run in runs if not run.is_finished and run.leftovers.spare]
    newest_first = sorted(unfinished, key=lambda run: (-run.leftovers.modified, _name_of(run)))
    for run in newest_first[num_kept:]:
        num_bytes = sum(file.num_bytes for file in run.leftovers.files)
        yield Leaving("run", _name_of(run), f"it was left unfinished, and {num_kept} newer ones were too", num_bytes)


def _name_of(run: Run) -> str:
    return f"runs/{run.leftovers.name}"


def _stores(holdings: Holdings, num_before: int | None, now: float) -> Iterator[Leaving]:
    if num_before is None:
        return
    for store in holdings.stores:
        if not store.days and now - store.modified > STALE_SECONDS:
            yield Leaving("store", store.name, "nobody has completed it", store.num_bytes)
    if holdings.first_needed is None:
        return
    first = days_before(holdings.first_needed, num_before)
    why = f"before {first}: the next night's window begins on {holdings.first_needed}, and {num_before} days stay"
    # The lists of stores go before the stores: what a list names is there.
    for listing in holdings.listings:
        if listing.day < first:
            yield Leaving("listing", listing.name, why, listing.num_bytes)
    for store in holdings.stores:
        if store.days and max(store.days) < first:
            yield Leaving("store", store.name, f"its newest day, {max(store.days)}, is {why}", store.num_bytes)
    for counts in holdings.counts:
        if counts.day < first:
            yield Leaving("counts", counts.name, why, counts.num_bytes)


def _quarantine(days: Sequence[OfDay], num_kept: int | None) -> Iterator[Leaving]:
    if num_kept is None:
        return
    newest_first = sorted(days, key=lambda one: one.day, reverse=True)
    for one in reversed(newest_first[num_kept:]):
        yield Leaving("quarantine", one.name, f"{num_kept} newer days have bad rows too", one.num_bytes)


def _versions(holdings: Holdings, num_kept: int | None) -> Iterator[Leaving]:
    if num_kept is None:
        return
    unnamed = [one for one in holdings.versions if not one.aliases and one.uri not in holdings.named]
    newest_first = sorted(unnamed, key=lambda one: one.number, reverse=True)
    for version in reversed(newest_first[num_kept:]):
        why = f"no alias names it, nor {num_kept} newer ones"
        yield Leaving("version", version.uri, why, model_id=version.model_id or "")
    for model_id in holdings.models_alone:
        yield Leaving("model", f"models:/{model_id}", "the version that it was logged for is gone", model_id=model_id)
