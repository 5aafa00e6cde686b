"""The right to move a champion, which verbs take that load no model, too."""

from contextlib import AbstractContextManager
from functools import partial

from pipeline.runtime.lease import Lease, Wait, lease
from pipeline.runtime.progress import Event, Show
from schemas.config import TrainConfig
from schemas.errors import Busy


def lease_of(config: TrainConfig, what: str, show: Show | None = None) -> AbstractContextManager[Lease]:
    """The right to move the champion of the config's registered model, for those that share its work folder.

    Raises Busy, naming the holder, where another has it; if that one seems to be dead, and there is `show` to tell of
    it, after `night.wait_seconds`.
    """
    folder = f"{config.work_uri}/leases/{config.mlflow.registered_model}"
    wait = Wait(config.night.wait_seconds, partial(_tell_of, show)) if show else None
    return lease(folder, config.night.lease_seconds, what, wait=wait)


def _tell_of(show: Show, holder: Busy) -> None:
    show(Event("wait for a lease to expire", 1, 1, str(holder)))
