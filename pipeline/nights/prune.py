"""Find what a work folder and a registered model hold, and remove what `retention` lets go."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from errno import ENOSPC

from pipeline.data import store
from pipeline.nights import records, retention
from pipeline.nights.days import days_before
from pipeline.nights.records import Night
from pipeline.nights.retention import STALE_SECONDS, Encoded, Holdings, Leaving, OfDay, Run
from pipeline.registry import removal
from pipeline.registry.tracking import Tracking
from pipeline.retrain import leasing, leftovers
from pipeline.runtime import files, lease
from pipeline.runtime.lease import Lease
from pipeline.runtime.trusted import Damaged
from schemas.config import TrainConfig

DAY = "date="
LISTINGS = "days"  # of pipeline.data.encoded_days, beside the stores
WINDOW, HISTORY, START = "night.window_days", "night.history_days", "night.start"


@contextmanager
def alone(config: TrainConfig) -> Iterator[Lease | None]:
    """Hold the model's lease; on a full disk, where none can be written, make sure that nobody does. Raises Busy."""
    with ExitStack() as held:
        try:
            own: Lease | None = held.enter_context(leasing.lease_of(config, "prune"))
        except OSError as error:
            if error.errno != ENOSPC or _is_at_work(_lease_uri(config, config.mlflow.registered_model), config):
                raise
            own = None  # nobody else can begin until there is room
        yield own


def leaving(config: TrainConfig, tracking: Tracking) -> list[Leaving]:
    """What goes now, with its bytes."""
    found = retention.leaving(holdings_of(config, tracking), config.retention, time.time())
    return [replace(one, num_bytes=removal.num_bytes(tracking, one.model_id)) if one.model_id else one for one in found]


def remove(config: TrainConfig, tracking: Tracking, one: Leaving) -> None:
    """Under the model's lease. Cut short and asked for again, it does what is left of it."""
    uri = f"{config.work_uri}/{one.name}"
    if one.kind == "tables":
        leftovers.drop(uri)
    elif one.kind == "run":
        leftovers.drop(uri)
        files.remove(uri)
    elif one.kind == "counts":
        for name in _counts_in(uri):
            files.remove(f"{uri}/{name}")
    elif one.kind == "version":
        removal.delete_version(tracking, one.name, one.model_id)
    elif one.kind == "model":
        removal.delete_model(tracking, one.model_id)
    else:
        files.discard(uri)


def holdings_of(config: TrainConfig, tracking: Tracking) -> Holdings:
    """As they are now. Of what models share, nothing while a night of another model is at work in the folder."""
    work, model = config.work_uri, config.mlflow.registered_model
    own = Holdings(
        versions=tuple(removal.versions_of(tracking, model)),
        models_alone=tuple(removal.models_alone(tracking, model)),
        named=tuple(stage.init_from for stage in config.stages if stage.init_from),
    )
    others = [name for name in _folders(f"{work}/leases") if name != model]
    if any(_is_at_work(_lease_uri(config, name), config) for name in others):
        return own
    own = replace(own, runs=tuple(_runs(config)), quarantine=tuple(_of_days(f"{work}/quarantine", "quarantine")))
    if _has_sweep_at_work(work):
        return own
    return replace(
        own,
        stores=tuple(_stores(f"{work}/encoded")),
        listings=tuple(_of_days(f"{work}/encoded/{LISTINGS}", f"encoded/{LISTINGS}")),
        counts=tuple(_counts(f"{work}/profiles")),
        first_needed=_first_needed(config),
    )


def _lease_uri(config: TrainConfig, model: str) -> str:
    return f"{config.work_uri}/leases/{model}"


def _is_at_work(folder_uri: str, config: TrainConfig) -> bool:
    return lease.is_held(folder_uri, config.night.lease_seconds)


def _has_sweep_at_work(work: str) -> bool:
    """By what it has written lately: a sweep moves no alias, and holds no lease."""
    for name in _folders(f"{work}/sweeps"):
        listed = files.listed(f"{work}/sweeps/{name}")
        is_finished = any(file.name == leftovers.SUMMARY for file in listed)
        if not is_finished and max((file.modified for file in listed), default=0.0) > time.time() - STALE_SECONDS:
            return True
    return False


def _first_needed(config: TrainConfig) -> date | None:
    """Of the next night of each model that has had one here: it trains on the days before those that it holds out."""
    first = (
        days_before(night.held_out_days[0], _num_days(night, config)) for night in records.newest_of_each_model(config)
    )
    return min(first, default=None)


def _num_days(night: Night, config: TrainConfig) -> int:
    """Of the window; and of the history, where a night takes it up from what the champion has encoded."""
    own = config.night
    settings = {WINDOW: str(own.window_days), HISTORY: str(own.history_days), START: own.start, **night.settings}
    history = settings[HISTORY] if settings[START] == "both" else ""
    return int(settings[WINDOW]) + (int(history) if history.isdecimal() else 0)


def _runs(config: TrainConfig) -> Iterator[Run]:
    uri = f"{config.work_uri}/runs"
    found = [leftovers.of_run(f"{uri}/{name}") for name in _folders(uri)]
    with_tables = [one for one in found if one.spare]
    finished = records.runs_of_all(config) if any(not one.has_summary for one in with_tables) else set()
    for one in with_tables:
        yield Run(one, one.has_summary or one.name in finished)


def _stores(uri: str) -> Iterator[Encoded]:
    for name in _folders(uri):
        if name != LISTINGS:
            listed, complete = files.listed(f"{uri}/{name}"), _complete(f"{uri}/{name}")
            days = {part.day for part in complete.parts if part.home_uri is None} if complete else set()
            modified = max((file.modified for file in listed), default=0.0)
            yield Encoded(f"encoded/{name}", sum(file.num_bytes for file in listed), modified, tuple(sorted(days)))


def _complete(store_uri: str) -> store.Store | None:
    """A damaged one counts as cut short."""
    try:
        return store.listed(store_uri)
    except Damaged:
        return None


def _of_days(uri: str, called: str) -> Iterator[OfDay]:
    for name in _folders(uri):
        if name.startswith(DAY):
            num_bytes = sum(file.num_bytes for file in files.listed(f"{uri}/{name}"))
            yield OfDay(f"{called}/{name}", num_bytes, date.fromisoformat(name.removeprefix(DAY)))


def _counts(uri: str) -> Iterator[OfDay]:
    for name in _folders(uri):
        listed = [file for file in files.listed(f"{uri}/{name}") if file.name.endswith(".parquet")]
        if listed and name.startswith(DAY):
            day = date.fromisoformat(name.removeprefix(DAY))
            yield OfDay(f"profiles/{name}", sum(file.num_bytes for file in listed), day)


def _counts_in(uri: str) -> list[str]:
    return [name for name in files.names(uri) if name.endswith(".parquet")]


def _folders(uri: str) -> list[str]:
    return files.folders(uri) if files.exists(uri) else []
