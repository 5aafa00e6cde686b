"""Versions of registered models: which is the `champion`, which was before, and how they change places."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.registry import descriptions, server
from pipeline.registry.aliases import aliases_of
from pipeline.registry.tags import KEY, MAX_TAG_CHARACTERS, VERDICT
from pipeline.registry.tracking import Tracking
from schemas.errors import Refusal

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS_CHAMPION = "champion", "challenger", "previous_champion"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model. `uri` names it for good, which an alias does not."""

    name: str
    number: str
    run_id: str | None
    tags: dict[str, str]
    created: datetime

    @classmethod
    def of(cls, found: "ModelVersion") -> "Version":
        """As MLflow tells of it."""
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        return cls(found.name, str(found.version), found.run_id, dict(found.tags), created)

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"


def set_tags(tracking: Tracking, version: Version, tags: Mapping[str, str]) -> None:
    """What is only known after it was registered, such as the verdict, which also becomes the description."""
    for key, value in tags.items():
        tracking.client.set_model_version_tag(version.name, version.number, key, value[:MAX_TAG_CHARACTERS])
    if VERDICT in tags:
        descriptions.describe_version(tracking, version.name, version.number, tags[VERDICT])


def promote(tracking: Tracking, version: Version, how: str = "promoted") -> None:
    """Point `champion` to the version and `previous_champion` to the one before. MLflow has no compare-and-set here.

    The model's description then says so.
    """
    before = champion(tracking, version.name)
    if before is not None and before.number != version.number:
        tracking.client.set_registered_model_alias(version.name, PREVIOUS_CHAMPION, before.number)
    tracking.client.set_registered_model_alias(version.name, CHAMPION, version.number)
    now = champion(tracking, version.name)
    if now is None or now.number != version.number:
        raise RuntimeError(f"champion of {version.name} was set to {version.number}, but is {now}")
    try:
        descriptions.remember(tracking, version.name, version.number, how)
    except server.errors() as error:  # the champion has moved, whatever is said of it
        logger.warning("the description of %s is as it was before: %s", version.name, server.first_line(error))


def champion(tracking: Tracking, name: str) -> Version | None:
    return of_alias(tracking, name, CHAMPION)


def of_alias(tracking: Tracking, name: str, alias: str) -> Version | None:
    number = aliases_of(tracking.client, name).get(alias)
    return None if number is None else Version.of(tracking.client.get_model_version(name, number))


def serving_in_words(tracking: Tracking, name: str) -> str:
    """As a row among others says it, whose column says that it serves."""
    now = champion(tracking, name)
    return f"version {now.number}" if now else "nothing"


def to_beat(tracking: Tracking, name: str, keys: Collection[str]) -> Version | None:
    """The champion that a retrain of these keys is held against; where it is champion itself, the one before.

    So a retrain that was killed after the alias had moved decides again as it did.
    """
    now = champion(tracking, name)
    is_own = now is not None and now.tags.get(KEY) in keys
    return of_alias(tracking, name, PREVIOUS_CHAMPION) if is_own else now


def rollback(tracking: Tracking, name: str) -> tuple[Version, Version]:
    """Let `champion` and `previous_champion` change places; returns (champion now, the one before).

    Raises Refusal where there is no previous one.
    """
    now, before = champion(tracking, name), of_alias(tracking, name, PREVIOUS_CHAMPION)
    if now is None or before is None:
        raise Refusal(
            found=f"{name} without {'a champion' if now is None else 'a previous champion'}",
            expected=f"the aliases {CHAMPION} and {PREVIOUS_CHAMPION}, which the second promotion sets",
            where=f"registered model {name!r}",
            remedy="choose a version in the MLflow UI and give it the alias champion by hand",
        )
    promote(tracking, before, "serves again, by a rollback")
    return before, now
