"""Names of folders that tell a time: `date=YYYY-MM-DD/hour=HH`, what such names may be, and what one of them says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

WIDTHS = {"YYYY": 4, "MM": 2, "DD": 2, "HH": 2}
_PART = re.compile("|".join(WIDTHS))


@dataclass(frozen=True, slots=True)
class Level:
    """Folders of one depth, which spell a part of the time: `month=MM` has the key `month` and spells `MM`."""

    key: str
    """Empty where a name is the time alone."""
    spelling: str

    @classmethod
    def of(cls, text: str) -> "Level":
        key, has_key, spelling = text.rpartition("=")
        return cls(key + has_key, spelling)

    def __str__(self) -> str:
        return self.key + self.spelling

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(_PART.findall(self.spelling))

    def name(self, parts: Mapping[str, int]) -> str:
        """Of the folder of this time."""
        return self.key + _PART.sub(lambda found: f"{parts[found[0]]:0{WIDTHS[found[0]]}}", self.spelling)

    def read(self, name: str) -> dict[str, int] | None:
        """What a folder's name says, as `{"MM": 9}`; None where it is spelled otherwise.

        A month, day or hour that is alone in its name may lack the leading zero; elsewhere that would be a spelling of
        its own.
        """
        parts = self.parts
        pattern = re.escape(self.spelling)
        for part in parts:
            width = WIDTHS[part]
            digits = "[0-9]{1,2}" if len(parts) == 1 and width == 2 else f"[0-9]{{{width}}}"
            pattern = pattern.replace(part, f"({digits})", 1)
        found = re.fullmatch(re.escape(self.key) + pattern, name)
        return dict(zip(parts, map(int, found.groups()), strict=True)) if found else None


@dataclass(frozen=True, slots=True)
class FolderPath:
    """The levels of folders from the log's own down to the files."""

    levels: tuple[Level, ...]

    @classmethod
    def of(cls, text: str) -> "FolderPath":
        """Of `year=YYYY/month=MM/day=DD`. Raises ValueError for a path that names no day."""
        levels = tuple(map(Level.of, text.strip("/").split("/")))
        path = cls(levels)
        for level in levels:
            if not level.parts:
                raise ValueError(f"a part of the time in each folder's name, of {', '.join(WIDTHS)}; {level} has none")
            if len({*level.parts}) < len(level.parts):
                raise ValueError(f"each part of the time once in a name; {level} has one twice")
        if not {"YYYY", "MM", "DD"} <= {part for level in levels for part in level.parts}:
            raise ValueError("YYYY, MM and DD in it, as in date=YYYY-MM-DD/hour=HH or year=YYYY/month=MM/day=DD")
        day = path.num_day_levels
        if any("HH" in level.parts for level in levels[: day - 1]):
            raise ValueError("the hour in the folders of the day or below them")
        if any("HH" not in level.parts for level in levels[day:]):
            raise ValueError(f"the hour alone below the folders of the day, which {levels[day - 1]} tells")
        return path

    def __str__(self) -> str:
        return "/".join(map(str, self.levels))

    def example(self, parts: Mapping[str, int]) -> str:
        return "/".join(level.name(parts) for level in self.levels)

    @property
    def num_day_levels(self) -> int:
        """How many levels tell the day; hours may be told by those below."""
        for number in range(1, len(self.levels)):
            if {"YYYY", "MM", "DD"} <= {part for level in self.levels[:number] for part in level.parts}:
                return number
        return len(self.levels)

    @property
    def has_hours(self) -> bool:
        return any("HH" in level.parts for level in self.levels)

    @property
    def day_key(self) -> str | None:
        """The key of the level that tells the day alone, as a column that is named like it would; None: none does."""
        found = (level.key.rstrip("=") for level in self.levels if level.spelling in ("YYYY-MM-DD", "YYYYMMDD"))
        return next(found, None) or None

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that the folders' names stand for, which files may repeat."""
        return tuple(level.key.rstrip("=") for level in self.levels if level.key)


def day_of(parts: Mapping[str, int]) -> date | None:
    """The day that YYYY, MM and DD come to; None where there is no such day."""
    try:
        return date(parts["YYYY"], parts["MM"], parts["DD"])
    except ValueError:
        return None
