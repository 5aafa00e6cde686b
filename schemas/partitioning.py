"""Which day a row of the log belongs to: by the folders that its file lies in, or by a column of times."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, field_validator

from schemas.errors import Refusal
from schemas.features import FROZEN
from schemas.folder_path import FolderPath


class DayFolders(BaseModel):
    """A folder a day, as `date=2026-11-08/`. The key is the feature spec's `partition`."""

    model_config = FROZEN
    by: Literal["day"] = "day"


class PathFolders(BaseModel):
    """Folders whose names tell the day of their rows, one below the other or all in one name, and perhaps the hour."""

    model_config = FROZEN
    by: Literal["path"]
    path: str = Field(
        description="The folders' names, from the log's own down to the files, as `date=YYYY-MM-DD/hour=HH`, "
        "`year=YYYY/month=MM/day=DD`, `dt=YYYYMMDD` or `YYYY/MM/DD/HH`. A month, day or hour alone in its name may "
        "lack the leading zero.",
    )

    @field_validator("path")
    @classmethod
    def _the_path_names_days(cls, path: str) -> str:
        return str(FolderPath.of(path))


class TimeColumn(BaseModel):
    """Files in any folders below the log's, whose rows tell by a column when they were.

    A file may hold several days, and a day may be in several files.
    """

    model_config = FROZEN
    by: Literal["column"]
    column: str = Field(
        min_length=1,
        description="Column of timestamps or dates. One with a zone is an instant, whose day is that of "
        "`data.timezone`; one without shows that timezone's clock itself. It may be `ignored`, a field, or named "
        "nowhere else.",
    )


def _by(partitioning: Any) -> str:
    """Which is meant: by day, where nothing says otherwise."""
    given = partitioning.get("by", "day") if isinstance(partitioning, dict) else getattr(partitioning, "by", "day")
    return str(given)


Partitioning = Annotated[
    Annotated[DayFolders, Tag("day")] | Annotated[PathFolders, Tag("path")] | Annotated[TimeColumn, Tag("column")],
    Discriminator(_by),
]
BY_DAY = DayFolders()
DEFAULT = "date=YYYY-MM-DD"  # its folders, where the feature spec has no other `partition`

NO_ZONES = ("localtime", "posix/", "right/")  # of this machine, or others once more


def require_timezone(name: str, *, where: str = "data.timezone") -> str:
    """The name, if it is one of the timezone database's. Raises Refusal, with the one that may be meant."""
    if not _is_zone(name):
        close = get_close_matches(name, filter(_is_zone, available_timezones()), n=1, cutoff=0.7)
        raise Refusal(
            found=repr(name),
            expected="the name of a timezone, as UTC, Europe/Berlin or America/New_York",
            where=where,
            remedy=f"did you mean {close[0]!r}?"
            if close
            else "take one of https://en.wikipedia.org/wiki/List_of_tz_database_time_zones",
        )
    return name


def _is_zone(name: str) -> bool:
    try:
        return not name.startswith(NO_ZONES) and bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


Timezone = Annotated[str, AfterValidator(require_timezone)]
